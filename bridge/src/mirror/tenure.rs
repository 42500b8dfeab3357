//! A shard's lease, kept while the shard works. A lease only elects: what fences a
//! former owner is Kafka's own epoch.
//!
//! Owns the lease; knows nothing of what is done under it.

use std::time::Duration;

use bus::lease;
use bus::lease::{Kept, Lease, LeaseLost};
use bus::{BusError, Kv};
use service::fault::Faults;
use service::shutdown::Shutdown;
use tokio::sync::watch;

/// Between two attempts to take a lease that somebody holds, unless the lease's own
/// time is shorter: how long a shard stays without an owner after a release.
const ATTEMPT_INTERVAL: Duration = Duration::from_millis(250);

/// The right to work on a shard.
pub(crate) struct Tenure {
    /// `None`: the test switch `lease.ignore` works without one.
    kept: Option<Kept>,
    watch: Option<watch::Receiver<Option<LeaseLost>>>,
    stop: Shutdown,
}

impl Tenure {
    /// Waits until the lease is ours, and has been renewed once after that. `None` at
    /// shutdown.
    pub(crate) async fn acquire(
        leases: &Kv,
        key: &str,
        owner: &str,
        faults: &Faults,
        shutdown: &Shutdown,
    ) -> Option<Self> {
        if faults.hit("lease.ignore") {
            tracing::warn!(key, "working without the lease, as a test switch says");
            return Some(Self {
                kept: None,
                watch: None,
                stop: Shutdown::new(),
            });
        }
        loop {
            match attempt(leases, key, owner).await {
                Ok(Some(lease)) => {
                    let stop = Shutdown::new();
                    let kept = lease::keep(lease, stop.clone());
                    return Some(Self {
                        watch: Some(kept.watch()),
                        kept: Some(kept),
                        stop,
                    });
                }
                Ok(None) => {}
                Err(error) => tracing::debug!(key, %error, "no lease at the moment"),
            }
            // Both branches are cancel safe: they only wait.
            tokio::select! {
                () = tokio::time::sleep(ATTEMPT_INTERVAL) => {}
                () = shutdown.triggered() => return None,
            }
        }
    }

    /// Whether it is over.
    pub(crate) fn is_lost(&self) -> bool {
        self.kept.as_ref().is_some_and(Kept::is_lost)
    }

    /// Whether the lease, asked for now, is still this owner's. An answer that does
    /// not come is none. Cancel safe.
    pub(crate) async fn is_confirmed(&self, leases: &Kv, key: &str, owner: &str) -> bool {
        if self.kept.is_none() || self.is_lost() {
            return false;
        }
        match Lease::holder(leases, key).await {
            Ok(holder) => holder.as_deref() == Some(owner) && !self.is_lost(),
            Err(error) => {
                tracing::debug!(key, %error, "who holds the lease is not known");
                false
            }
        }
    }

    /// Waits until it is over. Cancel safe.
    pub(crate) async fn lost(&mut self) {
        match &mut self.watch {
            // An error means that the keeping task has ended, and the lease with it.
            Some(watch) => drop(watch.wait_for(Option::is_some).await),
            None => std::future::pending().await,
        }
    }

    /// The lease's revision; 0 without one.
    pub(crate) fn revision(&self) -> u64 {
        self.kept.as_ref().map_or(0, Kept::revision)
    }

    /// Gives it back; call it when the work has ended.
    pub(crate) async fn release(mut self) {
        self.stop.trigger();
        self.lost_or_ignored().await;
    }

    async fn lost_or_ignored(&mut self) {
        if self.kept.is_some() {
            self.lost().await;
        }
    }
}

async fn attempt(leases: &Kv, key: &str, owner: &str) -> Result<Option<Lease>, BusError> {
    let Some(mut lease) = Lease::acquire(leases, key, owner).await? else {
        return Ok(None);
    };
    // Taken after an answer that came late, it may already be somebody else's.
    match lease.renew().await {
        Ok(()) => Ok(Some(lease)),
        Err(reason) => {
            tracing::debug!(key, %reason, "the lease went as soon as it came");
            Ok(None)
        }
    }
}
