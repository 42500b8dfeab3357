//! Stores and namespaces as the node knows them: a copy of `CONFIG`, kept fresh by
//! one task.
//!
//! Owns the snapshot. Readers take it whole, so that one command sees one state.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bus::{Bus, BusError};
use futures_util::StreamExt;
use parking_lot::RwLock;
use protocol::stream::Bucket;
use service::shutdown::Shutdown;
use tokio::sync::watch;

use super::directory::Directory;

/// Wait before the bucket is watched again after a failure, and the first time.
const RETRY: Duration = Duration::from_millis(500);

/// The node's copy of the configuration.
pub struct Namespaces {
    directory: RwLock<Arc<Directory>>,
    loaded: AtomicBool,
    changes: watch::Sender<u64>,
}

impl Default for Namespaces {
    fn default() -> Self {
        Self {
            directory: RwLock::default(),
            loaded: AtomicBool::new(false),
            changes: watch::channel(0).0,
        }
    }
}

impl Namespaces {
    /// The configuration as it is now.
    pub fn snapshot(&self) -> Arc<Directory> {
        self.directory.read().clone()
    }

    /// Whether everything that was there at the start has been read.
    pub fn is_loaded(&self) -> bool {
        self.loaded.load(Ordering::Acquire)
    }

    /// Changes with every change of the configuration.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn replace(&self, directory: Directory) {
        *self.directory.write() = Arc::new(directory);
        self.loaded.store(true, Ordering::Release);
        self.changes.send_modify(|count| *count += 1);
    }
}

/// Follows `CONFIG` until the node stops.
pub async fn follow(bus: Bus, namespaces: Arc<Namespaces>, stop: Shutdown) {
    loop {
        // Cancel safe: the next watch starts with everything again.
        tokio::select! {
            () = stop.triggered() => return,
            result = watch_once(&bus, &namespaces) => {
                if let Err(error) = result {
                    tracing::debug!(%error, "CONFIG cannot be watched yet");
                }
            }
        }
        tokio::select! {
            () = stop.triggered() => return,
            () = tokio::time::sleep(RETRY) => {}
        }
    }
}

async fn watch_once(bus: &Bus, namespaces: &Namespaces) -> Result<(), BusError> {
    let bucket = bus.kv(Bucket::Config).await?;
    let mut changes = bucket.watch_all().await?;
    // Built anew, so that what was deleted between two watches does not stay.
    let (mut directory, mut complete) = (Directory::default(), false);
    while let Some(change) = changes.next().await {
        let changed = directory.apply(&change.key, change.value.as_deref());
        if change.initial_done || (complete && changed) {
            complete = true;
            namespaces.replace(directory.clone());
        }
    }
    Ok(())
}
