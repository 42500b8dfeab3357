//! The right to run a lane for now. Owns nothing: whoever gave it says when it ends.

use std::time::Duration;

use service::shutdown::Shutdown;
use tokio::sync::watch;
use tokio::time::Instant;

/// The right to run a lane for now.
#[derive(Debug, Clone)]
pub struct Grant {
    /// What commits say; another one for every owner.
    pub revision: u64,
    lost: Shutdown,
    /// When this worker's newest report was sent, and how long it lasts; `None`: the
    /// grant does not depend on it.
    alive: Option<(watch::Receiver<Option<Instant>>, Duration)>,
}

impl Grant {
    /// A grant that ends with `lost`, or when the worker itself has not reported for
    /// `ttl`: a process that was stopped must not wait to be told.
    pub fn new(
        revision: u64,
        lost: Shutdown,
        alive: watch::Receiver<Option<Instant>>,
        ttl: Duration,
    ) -> Self {
        Self {
            revision,
            lost,
            alive: Some((alive, ttl)),
        }
    }

    /// Only for tests of fencing: acts as if the lane was granted.
    pub fn forced(revision: u64) -> Self {
        Self {
            revision,
            lost: Shutdown::new(),
            alive: None,
        }
    }

    /// Whether it has ended.
    pub fn is_lost(&self) -> bool {
        self.lost.is_triggered()
            || self.alive.as_ref().is_some_and(|(alive, ttl)| {
                alive.borrow().is_none_or(|sent| sent.elapsed() >= *ttl)
            })
    }

    /// Waits until somebody says that it has ended. Cancel safe.
    pub async fn lost(&self) {
        self.lost.triggered().await;
    }
}
