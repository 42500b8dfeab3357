//! The last events of a channel, without a hole: from a floor to its last sequence.
//!
//! A pure structure, bounded in events and bytes; policy: the oldest go. Subscribers
//! that join a little behind take from here instead of from the stream.

use std::collections::VecDeque;
use std::sync::Arc;

/// Most events kept: a quarter of a second of a very busy channel, the time that a
/// subscriber needs from the end of its replay to its place among the live ones.
const EVENTS_MAX: usize = 256;
/// Most bytes kept.
const BYTES_MAX: usize = 1 << 20;

/// An event with its place in its channel's chain.
pub trait Link {
    /// Its sequence.
    fn seq(&self) -> u64;
    /// The channel's sequence before; 0: none, or no longer kept.
    fn prev(&self) -> u64;
    /// Bytes that it keeps.
    fn size(&self) -> usize;
}

impl<E: Link> Link for Arc<E> {
    fn seq(&self) -> u64 {
        E::seq(self)
    }

    fn prev(&self) -> u64 {
        E::prev(self)
    }

    fn size(&self) -> usize {
        E::size(self)
    }
}

/// The last events of one channel.
#[derive(Debug)]
pub struct Ring<E> {
    events: VecDeque<E>,
    bytes: usize,
    /// The ring holds every event of the channel after this sequence.
    floor: u64,
}

impl<E: Link + Clone> Ring<E> {
    /// An empty ring; there is nothing after `floor` yet.
    pub fn new(floor: u64) -> Self {
        Self {
            events: VecDeque::new(),
            bytes: 0,
            floor,
        }
    }

    /// Adds the channel's next event.
    pub fn push(&mut self, event: E) {
        self.bytes += event.size();
        self.events.push_back(event);
        while self.events.len() > EVENTS_MAX || self.bytes > BYTES_MAX {
            let Some(oldest) = self.events.pop_front() else {
                break;
            };
            self.bytes -= oldest.size();
            self.floor = oldest.seq();
        }
    }

    /// Starts again after a hole that ends with `floor`.
    pub fn restart(&mut self, floor: u64) {
        *self = Self::new(floor);
    }

    /// Every event after `at`, or `None` if the ring does not reach back so far.
    pub fn since(&self, at: u64) -> Option<Vec<E>> {
        (at >= self.floor).then(|| {
            self.events
                .iter()
                .filter(|event| event.seq() > at)
                .cloned()
                .collect()
        })
    }
}
