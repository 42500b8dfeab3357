//! What was read, and what a page of it says: which sequences it accounts for. Pure.

use archive::{Lack, Part};
use protocol::bus::Stored;
use protocol::frame::{Encoding, Gap, GapReason, HistoryPage};
use protocol::position::Position;

use super::asked::Asked;
use crate::core::delivery::Encoded;
use crate::core::feed::repair::lost;

/// What was read.
#[derive(Debug)]
pub struct Found {
    /// The events, in the order of reading.
    pub events: Vec<Stored>,
    /// The first sequence that is accounted for.
    pub first_seq: u64,
    /// The last one.
    pub last_seq: u64,
    /// The channel's event before the oldest of these; 0: there is none, or it is not
    /// known.
    pub prev: u64,
    /// What of it is missing.
    pub lack: Option<Lack>,
    /// Whether there may be more in the same direction.
    pub more: bool,
}

impl Found {
    /// What a mirror has of the past, of a stream that ends with `last_seq`.
    pub fn past(part: Part, backwards: bool, last_seq: u64) -> Self {
        let mut events = part.events;
        if backwards {
            events.reverse();
        }
        Self {
            events,
            first_seq: part.first_seq,
            last_seq: part.last_seq,
            prev: 0,
            lack: part.lack,
            more: part.more || !backwards && part.last_seq < last_seq,
        }
    }

    /// What counts of what the stream had, now that it begins with `begins`: what
    /// retention has taken while it was read is a part of the gap, so that the rest of it
    /// is whole. Where the past is kept elsewhere, the next page goes on there.
    pub fn kept(mut self, backwards: bool, begins: u64, past: bool) -> Self {
        if backwards && begins > self.first_seq {
            // Without a past what is below is gone too.
            (self.first_seq, self.more) = if past { (begins, true) } else { (1, false) };
        }
        let gap = lost(self.first_seq.saturating_sub(1), self.last_seq, begins);
        self.lack = gap.map(|(from, to)| Lack {
            from,
            to,
            reason: GapReason::Retention,
        });
        self.events.retain(|event| event.seq >= begins);
        if self.prev < begins {
            self.prev = 0;
        }
        self
    }

    /// The page; the stream begins with `begins`.
    pub fn page(self, asked: &Asked, encoding: Encoding, begins: u64) -> HistoryPage {
        let mut events = self.events;
        if asked.backwards {
            events.reverse();
        }
        let channel = asked.channel.as_str();
        let mut prev = self.prev;
        let mut passed = 0;
        let bodies = events.into_iter().filter_map(|event| {
            let (seq, is_wanted) = (event.seq, asked.wants(&event));
            let event = Encoded::stored(channel.into(), event, prev);
            prev = seq;
            passed += u64::from(!is_wanted);
            event.body(encoding).filter(|_| is_wanted)
        });
        let mut events: Vec<_> = bodies.collect();
        let mut next = Position {
            epoch: asked.place.epoch.clone(),
            seq: self.last_seq,
            time: None,
        };
        if asked.backwards {
            events.reverse();
            next.seq = self.first_seq;
        }
        // Where the page ends with an event that the stream keeps, its time proves the
        // position; what comes from elsewhere has a coarser one.
        let last = events.last().filter(|event| event.seq == next.seq);
        next.time = last
            .filter(|event| event.seq >= begins)
            .map(|event| event.time);
        HistoryPage {
            channel: channel.into(),
            epoch: asked.place.epoch.clone(),
            events,
            first_seq: self.first_seq,
            last_seq: self.last_seq,
            gap: self.lack.map(|Lack { from, to, reason }| Gap {
                channel: channel.into(),
                from,
                to,
                reason,
            }),
            passed,
            begins,
            next,
            more: self.more,
        }
    }
}
