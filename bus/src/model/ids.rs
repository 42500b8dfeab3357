//! The ids that a stream remembers for its duplicate window. Pure; time is given.

use std::collections::{HashMap, VecDeque};

/// Remembered ids, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Ids {
    seqs: HashMap<String, u64>,
    /// When each was stored, microseconds since 1970.
    order: VecDeque<(u64, String)>,
}

impl Ids {
    /// The sequence under which an id was stored within the window.
    pub(super) fn find(&mut self, id: &str, now_us: u64, window_us: u64) -> Option<u64> {
        while let Some((_, old)) = self
            .order
            .pop_front_if(|(at, _)| at.saturating_add(window_us) <= now_us)
        {
            self.seqs.remove(&old);
        }
        self.seqs.get(id).copied()
    }

    /// Remembers an id that is not there.
    pub(super) fn remember(&mut self, id: &str, seq: u64, now_us: u64) {
        self.seqs.insert(id.to_owned(), seq);
        self.order.push_back((now_us, id.to_owned()));
    }
}
