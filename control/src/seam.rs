//! Where a stream's history is read: what retention has taken from JetStream in the mirror,
//! the rest in JetStream. Pure.
//!
//! Owns how far the reading is. Retention goes on meanwhile, so every step is judged by what
//! JetStream keeps now, and what was read there counts only if it was still kept after it.

use protocol::bus::StreamState;

/// Where reading goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// At the first event that is kept anywhere.
    Earliest,
    /// At the first event stored at this time or later, microseconds since 1970.
    Time(u64),
    /// At this sequence.
    Sequence(u64),
}

/// What to read next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// What JetStream no longer has: from here to this sequence, inclusive.
    Older { from: Place, to: u64 },
    /// What JetStream has, from here on.
    Kept(Place),
    /// Nothing.
    Done,
}

/// One stream while it is read.
#[derive(Debug)]
pub(crate) struct Seam {
    at: Place,
    last: u64,
}

impl Seam {
    /// Begins at a place and ends with a sequence.
    pub(crate) fn new(at: Place, last: u64) -> Self {
        Self { at, last }
    }

    /// What to read next, where this is what JetStream keeps.
    pub(crate) fn step(&self, kept: &StreamState) -> Step {
        let first = match self.at {
            Place::Sequence(seq) if seq > self.last => return Step::Done,
            Place::Earliest | Place::Time(_) if self.last == 0 => return Step::Done,
            Place::Sequence(seq) => seq,
            Place::Earliest | Place::Time(_) => 1,
        };
        let since = matches!(self.at, Place::Time(since) if holds(kept, since));
        if kept.first_seq <= first || since {
            return Step::Kept(self.at);
        }
        Step::Older {
            from: self.at,
            to: self.last.min(kept.first_seq - 1),
        }
    }

    /// Everything up to this sequence was read, or is told to be missing.
    pub(crate) fn reach(&mut self, seq: u64) {
        self.at = Place::Sequence(seq + 1);
    }
}

/// Whether everything since a time is kept: the first event that is kept is no younger.
fn holds(kept: &StreamState, since_us: u64) -> bool {
    kept.first_seq <= kept.last_seq && kept.first_time_us <= since_us
}

#[cfg(test)]
mod tests;
