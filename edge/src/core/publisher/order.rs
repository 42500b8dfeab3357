//! Stored order equals send order, for one writer and each of its channels.
//!
//! A pure structure, one per session (a writer is never shared). Two things are kept
//! for each channel:
//! - which events were refused for now. Later ones are refused as well until these
//!   have been sent again, so a failure in the middle cannot swap the order;
//! - whether singles wait. Resends do not go through the lane's batches but through
//!   a queue of their own, which starts when the lane has finished the channel's
//!   earlier events, and which later events join while it is not empty.
//!
//! A client that connects again has a new session and must send its unacknowledged
//! events first, in order; that is its part of the contract.

use std::collections::{BTreeSet, HashMap, VecDeque};

use protocol::name::Channel;

/// Refused events that are remembered for one session. A client that resends what was
/// refused never has more than its window; beyond it the order of what it left out
/// rests on the order of its resends.
const REFUSED_MAX: usize = 1_024;

/// Where an event goes.
#[derive(Debug, PartialEq, Eq)]
pub enum Route<J> {
    /// Into the lane's batches.
    Lane(J),
    /// It was queued as a single, and somebody must start on the queue.
    Start,
    /// It was queued as a single.
    Queued,
}

#[derive(Debug)]
struct Line<J> {
    /// Events handed to the lane that have not come back.
    in_lane: usize,
    singles: VecDeque<J>,
    /// Somebody works on the singles.
    working: bool,
    refused: BTreeSet<u64>,
}

/// One session's channels that have something under way.
#[derive(Debug)]
pub struct Order<J> {
    lines: HashMap<Channel, Line<J>>,
    refused: usize,
}

impl<J> Default for Order<J> {
    fn default() -> Self {
        Self {
            lines: HashMap::new(),
            refused: 0,
        }
    }
}

impl<J> Order<J> {
    fn line(&mut self, channel: &Channel) -> &mut Line<J> {
        let empty = || Line {
            in_lane: 0,
            singles: VecDeque::new(),
            working: false,
            refused: BTreeSet::new(),
        };
        self.lines.entry(channel.clone()).or_insert_with(empty)
    }

    fn tidy(&mut self, channel: &Channel) {
        let done = |line: &Line<J>| {
            line.in_lane == 0 && line.singles.is_empty() && !line.working && line.refused.is_empty()
        };
        if self.lines.get(channel).is_some_and(done) {
            self.lines.remove(channel);
        }
    }

    /// Takes an event in, in the order of sending.
    pub fn route(&mut self, channel: &Channel, job: J, single: bool) -> Route<J> {
        let line = self.line(channel);
        if !single && line.singles.is_empty() && !line.working {
            line.in_lane += 1;
            return Route::Lane(job);
        }
        line.singles.push_back(job);
        Self::started(line)
    }

    fn started(line: &mut Line<J>) -> Route<J> {
        if line.in_lane == 0 && !line.working && !line.singles.is_empty() {
            line.working = true;
            return Route::Start;
        }
        Route::Queued
    }

    /// The lane has finished an event; true if somebody must start on the singles.
    pub fn lane_done(&mut self, channel: &Channel) -> bool {
        let line = self.line(channel);
        line.in_lane = line.in_lane.saturating_sub(1);
        let start = matches!(Self::started(line), Route::Start);
        self.tidy(channel);
        start
    }

    /// The next single; `None` ends the work on them.
    pub fn next_single(&mut self, channel: &Channel) -> Option<J> {
        let line = self.line(channel);
        let next = line.singles.pop_front();
        line.working = next.is_some();
        self.tidy(channel);
        next
    }

    /// What waits behind the current single.
    pub fn waiting(&self, channel: &Channel) -> impl Iterator<Item = &J> {
        self.lines
            .get(channel)
            .into_iter()
            .flat_map(|line| &line.singles)
    }

    /// Whether event `n` may be stored now; asked in the order of sending, right
    /// before. If not, it counts as refused.
    pub fn admit(&mut self, channel: &Channel, n: u64) -> bool {
        let line = self.line(channel);
        let admitted = line.refused.first().is_none_or(|first| *first >= n);
        if admitted {
            self.refused -= usize::from(self.line(channel).refused.remove(&n));
            self.tidy(channel);
        } else {
            self.refuse(channel, n);
        }
        admitted
    }

    /// Event `n` was refused for now.
    pub fn refuse(&mut self, channel: &Channel, n: u64) {
        if self.refused < REFUSED_MAX {
            let added = self.line(channel).refused.insert(n);
            self.refused += usize::from(added);
        }
    }
}

#[cfg(test)]
mod tests;
