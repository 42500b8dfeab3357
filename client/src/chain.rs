//! Whether a delivery follows the one before it on its channel: the proof that
//! nothing was missed. Pure; owns one channel's last position.

use protocol::position::{Epoch, Position};

/// What a delivery is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// The next one: nothing lies between it and what came before.
    Next,
    /// One that was delivered before.
    Old,
    /// Something between the last one and this one is missing.
    Break,
}

/// The end of what is known of a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    epoch: Epoch,
    last: u64,
    /// Store time of `last`, if an event was delivered there.
    time: Option<u64>,
}

impl Chain {
    /// A chain that begins after a sequence.
    pub fn new(epoch: Epoch, after: u64) -> Self {
        Self {
            epoch,
            last: after,
            time: None,
        }
    }

    /// Takes in an event; only [`Link::Next`] moves the chain.
    pub fn event(&mut self, seq: u64, prev: u64, time: u64) -> Link {
        if seq <= self.last {
            return Link::Old;
        }
        if prev > self.last {
            return Link::Break;
        }
        self.last = seq;
        self.time = Some(time);
        Link::Next
    }

    /// Passes over everything up to `seq`: it was announced as lost, or as delivered.
    pub fn pass(&mut self, seq: u64) {
        if seq > self.last {
            self.last = seq;
            self.time = None;
        }
    }

    /// The epoch of all its sequences.
    pub fn epoch(&self) -> &Epoch {
        &self.epoch
    }

    /// The last sequence.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// Where to resume.
    pub fn position(&self) -> Position {
        Position {
            epoch: self.epoch.clone(),
            seq: self.last,
            time: self.time,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(after: u64) -> Chain {
        Chain::new(Epoch::from_random(7), after)
    }

    #[test]
    fn events_link_repeat_or_break() {
        let mut chain = chain(4);
        assert_eq!(chain.event(9, 4, 1), Link::Next);
        assert_eq!(chain.event(9, 4, 1), Link::Old);
        assert_eq!(chain.event(12, 10, 3), Link::Break);
        assert_eq!(chain.position().seq, 9);
        assert_eq!(chain.event(10, 9, 2), Link::Next);
        assert_eq!(chain.event(12, 10, 3), Link::Next);
        assert_eq!(chain.position().time, Some(3));
    }

    #[test]
    fn retention_and_gaps_do_not_break() {
        let mut chain = chain(0);
        assert_eq!(chain.event(50, 0, 1), Link::Next);
        chain.pass(80);
        assert_eq!(chain.position().time, None);
        assert_eq!(chain.event(81, 80, 2), Link::Next);
        chain.pass(60);
        assert_eq!(chain.last(), 81);
        // What came before was removed meanwhile.
        assert_eq!(chain.event(90, 0, 3), Link::Next);
    }
}
