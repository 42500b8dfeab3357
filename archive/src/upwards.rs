//! A page towards the end of the past, while it is gathered. Pure.

use protocol::bus::Stored;

use crate::events::Events;
use crate::lacks::{Gather, Lack, Part, Span};

/// A page that begins behind a sequence.
#[derive(Debug)]
pub(crate) struct Upwards {
    after: u64,
    /// The last sequence of the past.
    to: u64,
    /// Every window up to here has been read to its end.
    read: u64,
    span: Span,
    events: Events,
    lack: Option<Lack>,
    /// The page ends with this sequence: it is full, or a second gap begins behind it.
    ended: Option<u64>,
}

impl Upwards {
    /// A page of what is after a sequence, up to another one.
    pub(crate) fn new(after: u64, to: u64, limit: usize) -> Self {
        Self {
            after,
            to,
            read: after,
            span: Span::FIRST,
            events: Events::new(limit),
            lack: None,
            ended: None,
        }
    }

    /// What has been gathered so far ends here.
    fn at(&self) -> u64 {
        self.events.reached().unwrap_or(0).max(self.read)
    }

    fn window_end(&self) -> u64 {
        self.to.min(self.read.saturating_add(self.span.get()))
    }
}

impl Gather for Upwards {
    fn window(&self) -> Option<(u64, u64)> {
        let open = self.ended.is_none() && self.read < self.to;
        open.then(|| (self.read + 1, self.window_end()))
    }

    fn event(&mut self, event: Stored) -> bool {
        let (seq, before) = (event.seq, self.at());
        if seq <= before || seq > self.to {
            // It was given, or is none of the past.
            return true;
        }
        if !self.events.push(event) {
            self.ended = Some(before);
        } else if self.events.is_full() {
            self.ended = Some(seq);
        }
        self.ended.is_none()
    }

    fn lack(&mut self, lack: Lack) -> bool {
        let Some(lack) = lack.within(self.at() + 1, self.to) else {
            return true;
        };
        let joined = match self.lack {
            None => Some(lack),
            Some(before) => before.joined(lack),
        };
        match joined {
            Some(all) if self.events.opening().is_none() => self.lack = Some(all),
            // The next page begins with it.
            _ => self.ended = Some(lack.from - 1),
        }
        self.ended.is_none()
    }

    fn close(&mut self) {
        self.read = self.window_end();
        self.span = self.span.next();
    }

    fn part(self) -> Part {
        let first_seq = self.after + 1;
        let last_seq = self.ended.unwrap_or(self.read);
        Part {
            events: self.events.into_list(),
            first_seq,
            last_seq,
            lack: self.lack.and_then(|lack| lack.within(first_seq, last_seq)),
            more: last_seq < self.to,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::lacks::tests::Past;

    proptest! {
        #[test]
        fn pages_are_the_whole(past in Past::any(), limit in 1..9_usize) {
            let (mut after, mut found) = (0, Vec::new());
            for pages in 0.. {
                prop_assert!(pages < 10_000, "a circle");
                let part = past.page(Upwards::new(after, past.last, limit));
                prop_assert_eq!(part.first_seq, after + 1);
                past.holds(&part, limit);
                found.extend(part.events.iter().map(|event| event.seq));
                prop_assert!(part.last_seq > after, "it goes on");
                after = part.last_seq;
                if !part.more {
                    break;
                }
            }
            prop_assert_eq!(after, past.last);
            prop_assert_eq!(found, past.events);
        }
    }
}
