//! What is to be written, and what is due when.
//!
//! Owns two lists. Each holds an item once at most, by its owner's care: an item has one
//! time, and one job until that is done. So both are bounded by the number of items.

use std::collections::{BTreeMap, VecDeque};

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

#[derive(Debug)]
struct Lists<T, J> {
    times: BTreeMap<(Instant, u64), T>,
    jobs: VecDeque<(T, J)>,
}

/// Items with a time or a job.
#[derive(Debug)]
pub struct Agenda<T, J> {
    lists: Mutex<Lists<T, J>>,
    wake: Notify,
}

impl<T, J> Default for Agenda<T, J> {
    fn default() -> Self {
        Self {
            lists: Mutex::new(Lists {
                times: BTreeMap::new(),
                jobs: VecDeque::new(),
            }),
            wake: Notify::new(),
        }
    }
}

impl<T, J> Agenda<T, J> {
    /// Item `number` is due at another time than before, or not at all.
    pub fn plan(&self, number: u64, before: Option<Instant>, due: Option<(Instant, T)>) {
        let mut lists = self.lists.lock();
        if let Some(before) = before {
            lists.times.remove(&(before, number));
        }
        let Some((at, item)) = due else { return };
        let earliest = lists.times.keys().next().map(|(first, _)| *first);
        lists.times.insert((at, number), item);
        drop(lists);
        if earliest.is_none_or(|first| at < first) {
            self.wake.notify_one();
        }
    }

    /// An item has a job.
    pub fn add(&self, item: T, job: J) {
        self.lists.lock().jobs.push_back((item, job));
        self.wake.notify_one();
    }

    /// The job that waits longest.
    pub fn next_job(&self) -> Option<(T, J)> {
        self.lists.lock().jobs.pop_front()
    }

    /// When something is due next.
    pub fn next_time(&self) -> Option<Instant> {
        let lists = self.lists.lock();
        lists.times.keys().next().map(|(first, _)| *first)
    }

    /// Takes one item that is due.
    pub fn next_due(&self, now: Instant) -> Option<T> {
        let mut lists = self.lists.lock();
        let first = lists.times.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    /// Waits until there is an earlier time, or a job. Cancel safe.
    pub async fn woken(&self) {
        self.wake.notified().await;
    }
}
