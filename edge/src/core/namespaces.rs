//! Stores, namespaces and gates as the node knows them: a copy of `CONFIG`, and of what
//! concerns it in `FUNCTIONS`, kept fresh by one task.
//!
//! Owns the snapshot. Readers take it whole, so that one command sees one state.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bus::{Bus, BusError, KvWatch};
use futures_util::StreamExt;
use parking_lot::RwLock;
use protocol::stream::Bucket;
use service::shutdown::Shutdown;
use tokio::sync::watch;

use super::directory::Directory;

/// Wait before the buckets are watched again after a failure, and the first time.
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

/// Follows `CONFIG` and `FUNCTIONS` until the node stops.
pub async fn follow(bus: Bus, namespaces: Arc<Namespaces>, stop: Shutdown) {
    loop {
        // Cancel safe: the next watch starts with everything again.
        tokio::select! {
            () = stop.triggered() => return,
            result = watch_once(&bus, &namespaces) => {
                if let Err(error) = result {
                    tracing::debug!(%error, "the configuration cannot be watched yet");
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
    let mut config = bus.kv(Bucket::Config).await?.watch_all().await?;
    let mut functions = bus.kv(Bucket::Functions).await?.watch_all().await?;
    // Built anew, so that what was deleted between two watches does not stay; and shown
    // once both are whole: a node that knows namespaces and no gates would refuse what
    // it need not.
    let mut directory = Directory::default();
    fill(&mut config, |key, value| {
        directory.apply(key, value);
    })
    .await;
    fill(&mut functions, |key, value| {
        directory.apply_function(key, value);
    })
    .await;
    namespaces.replace(directory.clone());
    loop {
        // Both are cancel safe: a watch keeps its place.
        let changed = tokio::select! {
            change = config.next() => {
                change.map(|change| directory.apply(&change.key, change.value.as_deref()))
            }
            change = functions.next() => {
                change.map(|change| directory.apply_function(&change.key, change.value.as_deref()))
            }
        };
        match changed {
            Some(true) => namespaces.replace(directory.clone()),
            Some(false) => {}
            None => return Ok(()),
        }
    }
}

/// Takes everything in that was there when the watch began.
async fn fill(watch: &mut KvWatch, mut apply: impl FnMut(&str, Option<&[u8]>)) {
    while let Some(change) = watch.next().await {
        apply(&change.key, change.value.as_deref());
        if change.initial_done {
            return;
        }
    }
}
