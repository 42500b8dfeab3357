//! What is revoked, as this process knows it: a copy of the bucket, kept fresh by one
//! task.
//!
//! Owns the snapshot. Until the bucket has been read there is none: who asks must not
//! take that for "nothing is revoked".

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use parking_lot::RwLock;
use protocol::name::Tenant;
use protocol::revocation::Revocations;
use protocol::stream::Bucket;
use service::clock::now_us;
use service::shutdown::Shutdown;
use tokio::sync::broadcast;

use crate::bus::Bus;
use crate::error::BusError;

/// Wait before the bucket is watched again after a failure, and the first time.
const RETRY: Duration = Duration::from_millis(500);
/// Tenants with changes that a listener may be behind; past it, it is told that it has
/// missed some, and looks at everybody.
const BEHIND_MAX: usize = 256;
/// How often entries that have ended are let go of.
const TIDY_INTERVAL: Duration = Duration::from_secs(60);

/// This process's copy of the bucket.
#[derive(Debug)]
pub struct RevocationList {
    current: RwLock<Option<Arc<Revocations>>>,
    changes: broadcast::Sender<Tenant>,
}

impl Default for RevocationList {
    fn default() -> Self {
        Self {
            current: RwLock::new(None),
            changes: broadcast::channel(BEHIND_MAX).0,
        }
    }
}

impl RevocationList {
    /// What is revoked now; `None` until the bucket has been read.
    pub fn snapshot(&self) -> Option<Arc<Revocations>> {
        self.current.read().clone()
    }

    /// Tenants for whom something was revoked, from now on. Whoever lags has to look at
    /// everybody.
    pub fn changes(&self) -> broadcast::Receiver<Tenant> {
        self.changes.subscribe()
    }

    fn change<T>(&self, change: impl FnOnce(&mut Revocations) -> T) -> T {
        let mut current = self.current.write();
        // A copy is made only while somebody looks at this moment.
        change(Arc::make_mut(current.get_or_insert_default()))
    }

    fn tell(&self, tenant: Tenant) {
        // Nobody may listen.
        let _ = self.changes.send(tenant);
    }
}

/// Follows the bucket until the process stops.
pub async fn follow(bus: Bus, list: Arc<RevocationList>, stop: Shutdown) {
    loop {
        // Cancel safe: the next watch starts with everything again.
        tokio::select! {
            () = stop.triggered() => return,
            result = watch(&bus, &list) => {
                if let Err(error) = result {
                    tracing::debug!(%error, "revocations cannot be watched yet");
                }
            }
        }
        tokio::select! {
            () = stop.triggered() => return,
            () = tokio::time::sleep(RETRY) => {}
        }
    }
}

async fn watch(bus: &Bus, list: &RevocationList) -> Result<(), BusError> {
    let mut bucket = bus.kv(Bucket::Revocations).await?.watch_all().await?;
    // Built anew, and shown once it is whole: half of it would let others in.
    let mut all = Revocations::default();
    let mut tenants = std::collections::BTreeSet::new();
    while let Some(change) = bucket.next().await {
        tenants.extend(take(&mut all, &change.key, change.value.as_deref()));
        if change.initial_done {
            break;
        }
    }
    list.change(|current| *current = all);
    tenants.into_iter().for_each(|tenant| list.tell(tenant));
    let mut tidy = tokio::time::interval(TIDY_INTERVAL);
    loop {
        // Both are cancel safe: a watch keeps its place.
        tokio::select! {
            change = bucket.next() => {
                let Some(change) = change else {
                    return Ok(());
                };
                let value = change.value.as_deref();
                if let Some(tenant) = list.change(|all| take(all, &change.key, value)) {
                    list.tell(tenant);
                }
            }
            _ = tidy.tick() => list.change(|all| all.forget_ended(now_us())),
        }
    }
}

fn take(all: &mut Revocations, key: &str, value: Option<&[u8]>) -> Option<Tenant> {
    // The one change that tells nothing but that the beginning is told.
    if key.is_empty() {
        return None;
    }
    all.apply(key, value).unwrap_or_else(|problem| {
        tracing::warn!(key, problem, "a revocation is not readable");
        None
    })
}
