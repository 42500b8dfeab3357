//! What a feed does with what it receives: a state machine that never waits.
//!
//! The stream republishes each event with its sequence and the channel's one before
//! (`prev`), at most once. So a break of the chain shows by itself: `prev` is past
//! what was relayed last. Then the missing range is asked for, what arrives
//! meanwhile is held, and everything goes on in order. Knows neither NATS nor
//! subscribers.

use std::collections::VecDeque;

use super::ring::{Link, Ring};

/// Most events held during a repair.
pub const HELD_EVENTS_MAX: usize = 1_024;
/// Most bytes held during a repair.
pub const HELD_BYTES_MAX: usize = 1 << 20;

/// What subscribers get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output<E> {
    /// An event, the next of its channel.
    Deliver(E),
    /// What the stream no longer keeps.
    Gap {
        /// First sequence.
        from: u64,
        /// Last sequence.
        to: u64,
    },
}

/// What has to be read from the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missing {
    /// Everything after this sequence,
    pub after: u64,
    /// up to this one.
    pub to: u64,
    /// The channel's last event before the range.
    pub prev: u64,
    /// The range's last event that is known to have been on the channel; 0: none is.
    pub known: u64,
}

/// What was read from the stream.
#[derive(Debug, Clone)]
pub struct Repaired<E> {
    /// The events found, ascending.
    pub events: Vec<E>,
    /// What the stream no longer keeps of the range.
    pub gap: Option<(u64, u64)>,
    /// The range has been read up to here.
    pub through: u64,
}

/// The relay of one channel.
#[derive(Debug)]
pub struct FeedState<E> {
    /// The channel's last event.
    last: u64,
    /// Everything on the channel up to here has been relayed or announced as lost.
    chain: u64,
    /// Nothing was stored on the channel between `chain` and here.
    quiet: u64,
    ring: Ring<E>,
    /// A repair is needed up to here.
    repair: Option<u64>,
    /// The last event within the repair that surely was on the channel.
    known: u64,
    held: VecDeque<E>,
    held_bytes: usize,
    /// Events dropped because the hold was full.
    held_dropped: u64,
    /// Breaks found.
    breaks: u64,
    /// How often in a row the stream was said to end before the chain.
    doubts: u32,
}

/// What a probe has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probed {
    /// Nothing, as far as the one who answered knew.
    Level,
    /// Something was missed and is to be read.
    Missed,
    /// The stream has lost what was relayed.
    RolledBack,
}

impl<E: Link + Clone> FeedState<E> {
    /// Starts after the channel's last event `mark`; 0: it has none.
    pub fn new(mark: u64) -> Self {
        Self {
            last: mark,
            chain: mark,
            quiet: mark,
            ring: Ring::new(mark),
            repair: None,
            known: 0,
            held: VecDeque::new(),
            held_bytes: 0,
            held_dropped: 0,
            breaks: 0,
            doubts: 0,
        }
    }

    /// A live event arrived.
    pub fn delivery(&mut self, event: E, out: &mut Vec<Output<E>>) {
        if event.seq() <= self.chain {
            // Already relayed by a repair.
            return;
        }
        if self.repair.is_some() {
            self.hold(event);
        } else if self.is_break(&event) {
            self.breaks += 1;
            self.repair = Some(event.seq() - 1);
            self.doubt_quiet(event.prev());
            self.known = event.prev();
            self.hold(event);
        } else {
            self.relay(event, out);
        }
    }

    /// `prev` past the chain is a break for certain. Without `prev`, retention has
    /// taken the event before, which may not have been relayed.
    fn is_break(&self, event: &E) -> bool {
        event.prev() > self.chain
            || (event.prev() == 0 && self.chain > 0 && self.quiet + 1 < event.seq())
    }

    /// The channel has this event: if it was thought to be quiet there, it was not.
    fn doubt_quiet(&mut self, seq: u64) {
        if self.chain < seq && seq <= self.quiet {
            self.quiet = self.chain;
        }
    }

    /// When full, the newest is dropped: the `prev` of the next one, or a probe,
    /// shows the break again.
    fn hold(&mut self, event: E) {
        if self.held.len() >= HELD_EVENTS_MAX || self.held_bytes + event.size() > HELD_BYTES_MAX {
            self.held_dropped += 1;
            return;
        }
        self.held_bytes += event.size();
        self.held.push_back(event);
    }

    fn relay(&mut self, event: E, out: &mut Vec<Output<E>>) {
        self.last = event.seq();
        self.reach(event.seq());
        self.ring.push(event.clone());
        out.push(Output::Deliver(event));
    }

    fn reach(&mut self, seq: u64) {
        self.chain = self.chain.max(seq);
        self.quiet = self.quiet.max(seq);
    }

    /// A part of the missing range was read.
    pub fn repaired(&mut self, repaired: Repaired<E>, out: &mut Vec<Output<E>>) {
        let mut gap = repaired.gap;
        for event in repaired.events {
            if let Some((from, to)) = gap.take_if(|(_, to)| event.seq() > *to) {
                self.lose(from, to, out);
            }
            if event.seq() > self.chain {
                self.relay(event, out);
            }
        }
        if let Some((from, to)) = gap {
            self.lose(from, to, out);
        }
        self.reach(repaired.through);
        if self.repair.is_some_and(|to| self.chain >= to) {
            self.release(out);
        }
    }

    /// Goes on with what was held. Where that breaks again, all of it is read from the
    /// stream at once: break by break, a channel that loses much would never be level.
    fn release(&mut self, out: &mut Vec<Output<E>>) {
        self.repair = None;
        self.held_bytes = 0;
        let mut held = std::mem::take(&mut self.held).into_iter();
        while let Some(event) = held.next() {
            if event.seq() > self.chain && self.is_break(&event) {
                self.breaks += 1;
                self.repair = held.map(|later| later.seq()).max().max(Some(event.seq()));
                self.known = self.repair.unwrap_or_default();
                return;
            }
            self.delivery(event, out);
        }
    }

    fn lose(&mut self, from: u64, to: u64, out: &mut Vec<Output<E>>) {
        out.push(Output::Gap { from, to });
        self.reach(to);
        self.ring.restart(self.chain);
    }

    /// Somebody who may lag says that the channel's last event is `last`; 0: it has
    /// none. What the one who lags does not have proves nothing. `ends_early`: the
    /// stream's leader said that the stream ends before what had been relayed when it
    /// was asked; said `doubts_max` times in a row, that is believed.
    pub fn probed(&mut self, last: u64, ends_early: bool, doubts_max: u32) -> Probed {
        self.doubts = if ends_early { self.doubts + 1 } else { 0 };
        if self.doubts >= doubts_max {
            return Probed::RolledBack;
        }
        self.found(last)
    }

    /// The leader says that the channel's last event is `last`, and said before that
    /// the last of all is `stream_last`.
    pub fn vouched(&mut self, last: u64, stream_last: u64) -> Probed {
        let found = self.found(last);
        if found == Probed::Level && self.repair.is_none() {
            self.quiet = self.quiet.max(stream_last);
        }
        found
    }

    fn found(&mut self, last: u64) -> Probed {
        if self.repair.is_some() || last <= self.chain {
            return Probed::Level;
        }
        self.doubt_quiet(last);
        (self.repair, self.known) = (Some(last), last);
        Probed::Missed
    }

    /// Whether the leader should be asked about a stream that keeps `first` to `last`:
    /// once what is proved to be quiet is older than half of what is kept, so that
    /// retention never passes the proof.
    pub fn wants_proof(&self, first: u64, last: u64) -> bool {
        self.repair.is_none() && self.quiet < first.midpoint(last)
    }

    /// What has to be read, until it has been.
    pub fn missing(&self) -> Option<Missing> {
        self.repair.map(|to| Missing {
            // Up to `quiet` nothing was stored, so nothing of it can be lost.
            after: self.chain.max(self.quiet),
            to,
            prev: self.last,
            known: self.known,
        })
    }

    /// Everything on the channel up to here has been relayed.
    pub fn position(&self) -> u64 {
        self.chain
    }

    /// Every event after `at` that was relayed; `None` if only the stream has them.
    pub fn since(&self, at: u64) -> Option<Vec<E>> {
        if at >= self.chain {
            Some(Vec::new())
        } else {
            self.ring.since(at)
        }
    }

    /// Whether everything on the channel after `at` and up to `to` is known here, even
    /// if the stream no longer keeps it.
    pub fn vouches(&self, at: u64, to: u64) -> bool {
        self.since(at).is_some() && self.quiet >= to
    }

    /// How many breaks were found and held events dropped since the last call.
    pub fn take_counts(&mut self) -> (u64, u64) {
        (
            std::mem::take(&mut self.breaks),
            std::mem::take(&mut self.held_dropped),
        )
    }
}

#[cfg(test)]
mod tests;
