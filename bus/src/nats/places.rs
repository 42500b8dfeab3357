//! Places for open batches of one connection. Owns the share.

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::share::Share;

/// What this connection may have open of the batches that a stream takes from all.
#[derive(Debug)]
pub(super) struct Places {
    share: Mutex<Share>,
    freed: Notify,
}

impl Places {
    /// At most so many.
    pub(super) fn new(most: usize) -> Self {
        Self {
            share: Mutex::new(Share::new(most)),
            freed: Notify::new(),
        }
    }

    /// Waits for a place. Cancel safe.
    pub(super) async fn take(&self) -> Place<'_> {
        loop {
            let freed = self.freed.notified();
            if self.share.lock().take() {
                return Place(self);
            }
            freed.await;
        }
    }
}

/// A batch that is open; dropping it frees the place.
pub(super) struct Place<'a>(&'a Places);

impl Place<'_> {
    /// Whether the server had too many open.
    pub(super) fn tell(self, busy: bool) {
        let mut share = self.0.share.lock();
        if busy {
            share.was_refused();
        } else {
            share.went_well();
        }
        metrics::gauge!("nats_batch_places").set(share.places() as f64);
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.share.lock().give_back();
        self.0.freed.notify_one();
    }
}
