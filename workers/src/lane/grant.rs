//! The right to run a lane: a lease that renews itself. Owns the lease while it is held.

use bus::lease::{self, Kept, Lease, LeaseLost};
use rand::Rng;
use service::shutdown::Shutdown;
use tokio::sync::watch;

/// The right to run a lane for now.
#[derive(Debug)]
pub struct Grant {
    /// What commits say; another one for every owner.
    pub revision: u64,
    kept: Option<Kept>,
    release: Shutdown,
}

impl Grant {
    /// Keeps a lease.
    pub fn held(lease: Lease) -> Self {
        let release = Shutdown::new();
        let kept = lease::keep(lease, release.clone());
        Self {
            revision: kept.revision(),
            kept: Some(kept),
            release,
        }
    }

    /// Only for tests of fencing: acts as if the lease was granted.
    pub fn forced() -> Self {
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
    pub async fn end(self) {
        self.release.trigger();
        self.lost_or_forced().await;
    }

    async fn lost_or_forced(&self) {
        if self.kept.is_some() {
            self.lost().await;
        }
    }
}
