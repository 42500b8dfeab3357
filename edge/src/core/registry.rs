//! The feeds of the active channels, one each.
//!
//! Owns the map. A feed lives as long as somebody holds a guard of it, and a little
//! longer; both are decided under the map's lock.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio_util::task::TaskTracker;

use super::directory::Place;
use super::feed::relay::{Feed, FeedKey};
use super::feed::sources::Sources;
use super::feed::task::{self, End};
use super::metrics::meters;
use super::port::Note;

/// Every active channel's feed.
pub struct Feeds {
    feeds: Mutex<HashMap<FeedKey, Arc<Feed>>>,
    sources: Sources,
    tasks: TaskTracker,
}

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
    /// No feeds yet; each starts with its first user, as one of `tasks`.
    pub fn new(sources: Sources, tasks: TaskTracker) -> Arc<Self> {
        Arc::new(Self {
            feeds: Mutex::default(),
            sources,
            tasks,
        })
    }

    /// The channel's feed, started if there is none. `id` is the subscription.
    pub fn acquire(self: &Arc<Self>, key: FeedKey, place: &Place, id: u64) -> FeedGuard {
        let mut feeds = self.feeds.lock();
        let known = feeds
            .get(&key)
            .filter(|feed| feed.epoch == place.epoch)
            .cloned();
        let feed = known.unwrap_or_else(|| {
            let feed = Arc::new(Feed::new(key.clone(), place));
            self.tasks.spawn(self.clone().serve(feed.clone()));
            feeds.insert(key, feed.clone());
            feed
        });
        feed.add_user();
        FeedGuard { feed, id }
    }

    /// A feed's life.
    async fn serve(self: Arc<Self>, feed: Arc<Feed>) {
        meters().feeds.increment(1.0);
        let end = task::run(&self.sources, &feed, || self.remove_unused(&feed)).await;
        self.remove(&feed);
        let left = feed.end();
        if end == End::EpochChanged {
            left.iter()
                .for_each(|subscriber| subscriber.port.note(Note::EpochChanged));
        }
        meters().feeds.decrement(1.0);
    }

    /// Takes a feed off the map, whoever holds it; the next one gets a new feed.
    fn remove(&self, feed: &Arc<Feed>) {
        let mut feeds = self.feeds.lock();
        if feeds
            .get(&feed.key)
            .is_some_and(|known| Arc::ptr_eq(known, feed))
        {
            feeds.remove(&feed.key);
        }
    }

    /// Takes a feed off the map if nobody holds it.
    fn remove_unused(&self, feed: &Arc<Feed>) -> bool {
        let mut feeds = self.feeds.lock();
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
        self.feeds.lock().values().cloned().collect()
    }
}
