//! Tells the other nodes what was stored through this one, hears what they say, and looks
//! how full the streams are.
//!
//! Owns the ledger, under a lock that is never held across a wait. What cannot be told or
//! heard now leaves what was known.

use std::sync::Arc;
use std::time::Duration;

use bus::{Bus, BusError, Kv, KvChange, KvWatch};
use futures_util::StreamExt;
use parking_lot::Mutex;
use protocol::error_code::ErrorCode;
use protocol::frame::ErrorBody;
use protocol::name::Tenant;
use protocol::stream::{Bucket, StreamName};
use protocol::usage::{Usage, UsageKey};
use rand::Rng;
use service::clock::now_us;
use service::shutdown::Shutdown;

use crate::core::draft::Draft;
use crate::core::namespaces::Namespaces;
use shares::ledger::{Beyond, Ledger, Report, Seen};

/// How often the streams are looked at, and reports written: a tenant that stores as fast as
/// it may gets a second's bytes beyond its share.
const ROUND: Duration = Duration::from_secs(1);
/// Wait before the bucket is watched again after a failure.
const RETRY: Duration = Duration::from_millis(500);
/// Bytes that a stored message has beside its subject, headers and data (NATS's record head,
/// and the framing of some headers).
const MESSAGE_BYTES: usize = 96;

/// What tenants have stored, as the node knows it.
#[derive(Debug)]
pub struct Quotas(Mutex<Ledger>);

impl Quotas {
    /// Nothing is known. `name` is the node's.
    pub fn new(name: &str) -> Arc<Self> {
        // A process that comes after this one is another: what this one said of itself stays.
        let life = rand::rng().random::<u64>();
        let ledger = Ledger::new(format!("{name}-{life:016x}"));
        Arc::new(Self(Mutex::new(ledger)))
    }

    /// Whether an event may be stored; `quota` is what its namespace allows a tenant.
    ///
    /// # Errors
    /// [`ErrorCode::QuotaExceeded`], with what the tenant has and may have.
    pub fn admit(&self, draft: &Draft, quota: Option<u64>) -> Result<(), ErrorBody> {
        let namespace = draft.channel.namespace();
        let bytes = bytes_of(draft);
        let behind = draft.stream.behind_gate();
        let admitted = {
            let ledger = self.0.lock();
            let mut streams = std::iter::once(&draft.stream).chain(&behind);
            streams
                .try_for_each(|stream| ledger.admit(stream, &draft.tenant, namespace, quota, bytes))
        };
        admitted.map_err(|beyond| refusal(beyond, &draft.tenant, namespace))
    }

    /// Whether it is known how full a store is: before that nobody is kept from filling one.
    pub fn is_known(&self) -> bool {
        self.0.lock().has_seen()
    }

    /// An event was stored. What a gate makes of it is taken to be as long.
    pub fn stored(&self, draft: &Draft) {
        let namespace = draft.channel.namespace();
        let (bytes, now_us) = (bytes_of(draft), now_us());
        let behind = draft.stream.behind_gate();
        let mut ledger = self.0.lock();
        for stream in std::iter::once(&draft.stream).chain(&behind) {
            ledger.stored(stream, &draft.tenant, namespace, bytes, now_us);
        }
    }
}

fn bytes_of(draft: &Draft) -> u64 {
    (draft.bytes() + draft.subject.as_str().len() + draft.id.len() + MESSAGE_BYTES) as u64
}

fn refusal(beyond: Beyond, tenant: &Tenant, namespace: &str) -> ErrorBody {
    let message = match beyond {
        Beyond::Share { has, may } => format!(
            "tenant {tenant} has {has} bytes in the store, and may have {may}: as many as are free"
        ),
        Beyond::Namespace { has, may } => format!(
            "tenant {tenant} has {has} bytes in namespace {namespace}, which allows it {may}"
        ),
    };
    ErrorBody::new(ErrorCode::QuotaExceeded, message)
}

/// Keeps the ledger right until the node stops.
pub async fn follow(bus: Bus, namespaces: Arc<Namespaces>, quotas: Arc<Quotas>, stop: Shutdown) {
    loop {
        // Cancel safe: the next watch starts with everything again.
        tokio::select! {
            () = stop.triggered() => break,
            result = watch(&bus, &namespaces, &quotas) => {
                if let Err(error) = result {
                    tracing::debug!(%error, "what tenants have stored cannot be watched yet");
                }
            }
        }
        tokio::select! {
            () = stop.triggered() => break,
            () = tokio::time::sleep(RETRY) => {}
        }
    }
}

async fn watch(bus: &Bus, namespaces: &Namespaces, quotas: &Quotas) -> Result<(), BusError> {
    let bucket = bus.kv(Bucket::Usage).await?;
    let mut changes: KvWatch = bucket.watch_all().await?;
    look(bus, namespaces, quotas).await;
    quotas.0.lock().forget_others(now_us());
    let mut stores = namespaces.changes();
    let mut rounds = tokio::time::interval(ROUND);
    rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        // All are cancel safe: a watch keeps its place.
        tokio::select! {
            change = changes.next() => match change {
                Some(change) => heard(quotas, change),
                None => return Ok(()),
            },
            // A store that is new has not been looked at.
            _ = stores.changed() => look(bus, namespaces, quotas).await,
            _ = rounds.tick() => {
                look(bus, namespaces, quotas).await;
                report(&bucket, quotas).await;
            }
        }
    }
}

fn heard(quotas: &Quotas, change: KvChange) {
    let Some(key) = UsageKey::parse(&change.key) else {
        return;
    };
    let usage = change
        .value
        .map(|value| serde_json::from_slice::<Usage>(&value));
    match usage.transpose() {
        Ok(usage) => quotas.0.lock().heard(key, change.revision, usage, now_us()),
        Err(error) => tracing::warn!(key = change.key, %error, "a report of usage is not readable"),
    }
}

/// Looks at every stream that events are stored in.
async fn look(bus: &Bus, namespaces: &Namespaces, quotas: &Quotas) {
    for store in namespaces.snapshot().store_names() {
        for stream in [StreamName::events(&store), StreamName::ingress(&store)] {
            match bus.stream_state(&stream).await {
                Ok(state) => {
                    let seen = Seen {
                        bytes: state.bytes,
                        max_bytes: state.max_bytes,
                        max_age_us: u64::try_from(state.max_age.as_micros()).unwrap_or(0),
                    };
                    quotas.0.lock().seen(stream, seen);
                }
                Err(error) => tracing::debug!(%error, %stream, "how full it is is not known now"),
            }
        }
    }
}

async fn report(bucket: &Kv, quotas: &Quotas) {
    let reports = quotas.0.lock().reports(now_us());
    for report in reports {
        let written = match &report {
            Report::Put(key, usage) => {
                let value = serde_json::to_vec(usage).expect("usage has only names and numbers");
                bucket.put(&key.to_string(), value.into()).await.map(drop)
            }
            Report::Delete(key, revision) => bucket.delete(&key.to_string(), *revision).await,
        };
        if let Err(error) = written {
            tracing::debug!(%error, "what was stored cannot be told now");
            if let Report::Put(key, _) = &report {
                quotas.0.lock().untold(key);
            }
        }
    }
}
