//! Claims a lane again and again, runs it while the lease lasts, gives it up.
//!
//! Owns the lease while it is held. A lease only elects: what keeps two owners from
//! doing harm is the guard of each commit.

use std::sync::Arc;
use std::time::Duration;

use bus::lease;
use bus::lease::{Kept, Lease, LeaseLost};
use bus::{BusError, Kv};
use protocol::lane::Lane;
use rand::Rng;
use service::shutdown::Shutdown;
use tokio::sync::watch;

use super::run::{End, Run, Shared};
use host::module::Program;

/// Longest random wait before the first claim, so that workers that start together
/// share the lanes.
const FIRST_CLAIM: Duration = Duration::from_millis(100);

/// The right to run a lane for now.
#[derive(Debug)]
pub struct Grant {
    /// What commits say; another one for every owner.
    pub revision: u64,
    kept: Option<Kept>,
    release: Shutdown,
}

impl Grant {
    fn held(lease: Lease) -> Self {
        let release = Shutdown::new();
        let kept = lease::keep(lease, release.clone());
        Self {
            revision: kept.revision(),
            kept: Some(kept),
            release,
        }
    }

    /// Only for tests of fencing: acts as if the lease was granted.
    fn forced() -> Self {
        Self {
            revision: rand::rng().random_range(1 << 40..1 << 50),
            kept: None,
            release: Shutdown::new(),
        }
    }

    /// Whether it has ended.
    pub fn is_lost(&self) -> bool {
        self.kept.as_ref().is_some_and(Kept::is_lost)
    }

    /// Waits for its end. Cancel safe.
    pub async fn lost(&self) {
        match &self.kept {
            Some(kept) => {
                let mut watch: watch::Receiver<Option<LeaseLost>> = kept.watch();
                // An error means that the renewing task has ended, which is a loss.
                let _ = watch.wait_for(Option::is_some).await;
            }
            None => std::future::pending().await,
        }
    }

    /// Gives it back and waits until it is gone, so that a takeover need not wait.
    async fn end(self) {
        self.release.trigger();
        self.lost_or_forced().await;
    }

    async fn lost_or_forced(&self) {
        if self.kept.is_some() {
            self.lost().await;
        }
    }
}

/// One lane of one function, to be owned whenever possible.
pub struct Owner {
    /// What all lanes share.
    pub shared: Arc<Shared>,
    /// The bucket of leases.
    pub leases: Kv,
    /// How the worker calls itself.
    pub name: String,
    /// How often a lane that another worker holds is asked for again.
    pub claim_interval: Duration,
    /// Which lane.
    pub lane: Lane,
    /// The function as it is deployed now.
    pub program: watch::Receiver<Arc<Program>>,
    /// Ends it.
    pub stop: Shutdown,
}

impl Owner {
    /// Claims and runs the lane until it is stopped.
    pub async fn run(mut self) {
        let mut pause = FIRST_CLAIM.mul_f64(rand::rng().random());
        loop {
            // Both branches are cancel safe: they only wait.
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.stop.triggered() => return,
            }
            match self.claim().await {
                Ok(Some(grant)) => self.hold(grant).await,
                Ok(None) => {}
                // Without a connection no lane can be claimed; the connection says so, once.
                Err(BusError::Disconnected) => {}
                Err(error) => tracing::warn!(%error, key = self.key(), "lane cannot be claimed"),
            }
            pause = self
                .claim_interval
                .mul_f64(0.75 + rand::rng().random::<f64>() / 2.0);
        }
    }

    fn key(&self) -> String {
        let spec = self.program.borrow().spec.clone();
        format!("lane.{}.{}.{}", spec.store, spec.name, self.lane)
    }

    async fn claim(&self) -> Result<Option<Grant>, BusError> {
        match Lease::acquire(&self.leases, &self.key(), &self.name).await? {
            Some(lease) => Ok(Some(Grant::held(lease))),
            None if self.shared.faults.hit("lease.ignore") => Ok(Some(Grant::forced())),
            None => Ok(None),
        }
    }

    async fn hold(&mut self, grant: Grant) {
        let key = self.key();
        let owned = self.shared.status.owned();
        tracing::debug!(key, revision = grant.revision, "lane is owned");
        let mut run = Run {
            shared: &self.shared,
            lane: self.lane,
            program: self.program.clone(),
            grant: &grant,
            stop: &self.stop,
        };
        match run.run().await {
            Ok(End::Stopped) => tracing::debug!(key, "lane is given up"),
            Ok(End::Superseded) => tracing::info!(key, "lane has another owner"),
            Err(error) => tracing::error!(
                error = &error as &dyn std::error::Error,
                key,
                "lane fails and is claimed again"
            ),
        }
        drop(owned);
        grant.end().await;
    }
}
