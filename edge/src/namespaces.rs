//! Stores and namespaces as the node knows them: a copy of `CONFIG`, kept fresh by
//! one task.
//!
//! Owns the snapshot. Readers take it whole, so that one command sees one state.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bus::{BusError, KvChange};
use futures_util::StreamExt;
use parking_lot::RwLock;
use protocol::lane::Lane;
use protocol::name::{Channel, StoreName, Tenant};
use protocol::position::Epoch;
use protocol::spec::{NamespaceSpec, Path, StoreSpec, key};
use protocol::stream::Bucket;
use tokio::sync::watch;

use crate::node::Node;

/// Wait before the bucket is watched again after a failure, and the first time.
const RETRY: Duration = Duration::from_millis(500);
/// What store keys start with.
const STORE_PREFIX: &str = "store.";

/// The configuration at one moment.
#[derive(Debug, Clone, Default)]
pub struct Directory {
    stores: HashMap<StoreName, StoreSpec>,
    namespaces: HashMap<String, NamespaceSpec>,
}

/// Where a channel lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its store.
    pub store: StoreName,
    /// The store's epoch.
    pub epoch: Epoch,
    /// Its lane.
    pub lane: Lane,
    /// Whether its events pass a gate first.
    pub gated: bool,
}

impl Directory {
    /// A store's spec.
    pub fn store(&self, name: &StoreName) -> Option<&StoreSpec> {
        self.stores.get(name)
    }

    /// Where a channel lives; a reserved channel lives in `reserved`. `None` if its
    /// namespace, or that one's store, is not configured.
    pub fn place(&self, tenant: &Tenant, channel: &Channel, reserved: &StoreName) -> Option<Place> {
        let (store, gated) = if channel.is_reserved() {
            (reserved, false)
        } else {
            let spec = self.namespaces.get(channel.namespace())?;
            (&spec.store, matches!(spec.path, Path::Function(_)))
        };
        let spec = self.stores.get(store)?;
        let lane = Lane::of(tenant, channel, spec.lanes);
        Some(Place {
            store: spec.name.clone(),
            epoch: spec.epoch.clone(),
            lane,
            gated,
        })
    }

    /// Takes a change in; false if it is not about stores or namespaces. A value that
    /// cannot be read leaves what was known: half a configuration is worse than an
    /// old one.
    pub fn apply(&mut self, change: &KvChange) -> bool {
        if let Some(name) = change.key.strip_prefix(key::NAMESPACE_PREFIX) {
            match change
                .value
                .as_deref()
                .map(serde_json::from_slice::<NamespaceSpec>)
            {
                None => drop(self.namespaces.remove(name)),
                Some(Ok(spec)) => drop(self.namespaces.insert(name.into(), spec)),
                Some(Err(error)) => {
                    tracing::warn!(key = change.key, %error, "namespace spec is not readable")
                }
            }
        } else if let Some(name) = change.key.strip_prefix(STORE_PREFIX) {
            let Ok(name) = StoreName::parse(name) else {
                return false;
            };
            let spec = change
                .value
                .as_deref()
                .map(serde_json::from_slice::<StoreSpec>);
            match spec {
                None => drop(self.stores.remove(&name)),
                Some(Ok(spec)) if spec.check().is_ok() => drop(self.stores.insert(name, spec)),
                Some(_) => tracing::warn!(key = change.key, "store spec is not readable"),
            }
        } else {
            return false;
        }
        true
    }
}

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
pub async fn follow(node: Arc<Node>) {
    loop {
        // Cancel safe: the next watch starts with everything again.
        tokio::select! {
            () = node.stop.triggered() => return,
            result = watch_once(&node) => {
                if let Err(error) = result {
                    tracing::debug!(%error, "CONFIG cannot be watched yet");
                }
            }
        }
        tokio::select! {
            () = node.stop.triggered() => return,
            () = tokio::time::sleep(RETRY) => {}
        }
    }
}

async fn watch_once(node: &Node) -> Result<(), BusError> {
    let bucket = node.bus.kv(Bucket::Config).await?;
    let mut changes = bucket.watch_all().await?;
    // Built anew, so that what was deleted between two watches does not stay.
    let (mut directory, mut complete) = (Directory::default(), false);
    while let Some(change) = changes.next().await {
        let changed = directory.apply(&change);
        if change.initial_done || (complete && changed) {
            complete = true;
            node.namespaces.replace(directory.clone());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(key: &str, value: Option<&str>) -> KvChange {
        KvChange {
            key: key.into(),
            value: value.map(|v| v.as_bytes().to_vec().into()),
            revision: 1,
            initial_done: false,
        }
    }

    #[test]
    fn channels_are_placed_by_their_namespace() {
        let mut directory = Directory::default();
        assert!(directory.apply(&change(
            "store.main",
            Some(r#"{"name":"main","lanes":4,"epoch":"aa"}"#)
        )));
        assert!(directory.apply(&change(
            "namespace.doc",
            Some(r#"{"name":"doc","store":"main","path":{"function":"gate"}}"#)
        )));
        assert!(directory.apply(&change(
            "namespace.lost",
            Some(r#"{"name":"lost","store":"gone","path":"direct"}"#)
        )));
        let (tenant, main) = (
            Tenant::parse("acme").unwrap(),
            StoreName::parse("main").unwrap(),
        );
        let place = |directory: &Directory, text: &str| {
            directory.place(&tenant, &Channel::parse(text).unwrap(), &main)
        };
        assert!(place(&directory, "doc.1").unwrap().gated);
        assert!(!place(&directory, "_outcome.ann.c1").unwrap().gated);
        assert_eq!(
            (place(&directory, "chat.1"), place(&directory, "lost.1")),
            (None, None)
        );
        assert!(
            directory.apply(&change("namespace.doc", Some("{"))),
            "an unreadable spec leaves the old one"
        );
        assert!(place(&directory, "doc.1").is_some());
        directory.apply(&change("namespace.doc", None));
        assert_eq!(place(&directory, "doc.1"), None);
        assert!(!directory.apply(&change("mirror.x", None)));
    }
}
