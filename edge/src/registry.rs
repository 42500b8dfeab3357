//! The feeds of the active channels, one each.
//!
//! Owns the map. A feed lives as long as somebody holds a guard of it, and a little
//! longer; both are decided under the map's lock.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::feed::{self, Feed, FeedKey};
use crate::namespaces::Place;
use crate::node::Node;

/// Every active channel's feed.
#[derive(Debug, Default)]
pub struct Feeds(Mutex<HashMap<FeedKey, Arc<Feed>>>);

/// Keeps a feed, and one subscription's place in it; dropping it gives up both.
#[derive(Debug)]
pub struct FeedGuard {
    /// The feed.
    pub feed: Arc<Feed>,
    id: u64,
}

impl Drop for FeedGuard {
    fn drop(&mut self) {
        self.feed.remove_user(self.id);
    }
}

impl Feeds {
    /// The channel's feed, started if there is none. `id` is the subscription.
    pub fn acquire(&self, node: &Arc<Node>, key: FeedKey, place: &Place, id: u64) -> FeedGuard {
        let mut feeds = self.0.lock();
        let known = feeds
            .get(&key)
            .filter(|feed| feed.epoch == place.epoch)
            .cloned();
        let feed = known.unwrap_or_else(|| {
            let feed = Arc::new(Feed::new(key.clone(), place));
            node.tasks.spawn(feed::run(node.clone(), feed.clone()));
            feeds.insert(key, feed.clone());
            feed
        });
        feed.add_user();
        FeedGuard { feed, id }
    }

    /// Takes a feed off the map, whoever holds it; the next one gets a new feed.
    pub fn remove(&self, feed: &Arc<Feed>) {
        let mut feeds = self.0.lock();
        if feeds
            .get(&feed.key)
            .is_some_and(|known| Arc::ptr_eq(known, feed))
        {
            feeds.remove(&feed.key);
        }
    }

    /// Takes a feed off the map if nobody holds it.
    pub fn remove_unused(&self, feed: &Arc<Feed>) -> bool {
        let mut feeds = self.0.lock();
        let unused = feed.is_unused();
        if unused
            && feeds
                .get(&feed.key)
                .is_some_and(|known| Arc::ptr_eq(known, feed))
        {
            feeds.remove(&feed.key);
        }
        unused
    }

    /// Every feed there is.
    pub fn all(&self) -> Vec<Arc<Feed>> {
        self.0.lock().values().cloned().collect()
    }
}
