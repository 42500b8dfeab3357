//! A page towards the beginning of the past, while it is gathered. Pure.
//!
//! A window is read upwards like any other, and what of it is newest is kept.

use std::collections::VecDeque;

use protocol::bus::Stored;

use crate::events::{PAGE_BYTES_MAX, size};
use crate::lacks::{Gather, Lack, Part, Span};

/// A page that ends below a sequence.
#[derive(Debug)]
pub(crate) struct Downwards {
    before: u64,
    limit: usize,
    /// Everything from here up is accounted for.
    low: u64,
    span: Span,
    /// The events of closed windows, rising.
    kept: VecDeque<Stored>,
    lack: Option<Lack>,
    /// Nothing below is wanted: it does not fit, or a second gap ends there.
    ended: bool,
    open: Window,
}

/// What the window that is being read has given.
#[derive(Debug, Default)]
struct Window {
    events: VecDeque<Stored>,
    /// Bytes of all events, those of closed windows included.
    bytes: usize,
    lacks: VecDeque<Lack>,
    /// What is at this sequence or below it is left to the next page.
    floor: u64,
}

/// Missing ranges of a window that are remembered: the page names one, and ends at the
/// second.
const LACKS_KEPT_MAX: usize = 2;

impl Downwards {
    /// A page of what is before a sequence.
    pub(crate) fn new(before: u64, limit: usize) -> Self {
        Self {
            before,
            limit,
            low: before,
            span: Span::FIRST,
            kept: VecDeque::new(),
            lack: None,
            ended: false,
            open: Window::default(),
        }
    }

    fn bottom(&self) -> u64 {
        self.low.saturating_sub(self.span.get()).max(1)
    }

    /// The gap of the page with those of the window; where it can name no more of them,
    /// the page ends above the next one.
    fn name(&mut self) {
        while let Some(lack) = self.open.lacks.pop_back() {
            let joined = match self.lack {
                None => Some(lack),
                Some(named) => named.joined(lack),
            };
            match joined {
                Some(all) => self.lack = Some(all),
                None => {
                    self.open.floor = self.open.floor.max(lack.to);
                    return;
                }
            }
        }
    }
}

impl Gather for Downwards {
    fn window(&self) -> Option<(u64, u64)> {
        let open = !self.ended && self.low > 1;
        open.then(|| (self.bottom(), self.low - 1))
    }

    fn event(&mut self, event: Stored) -> bool {
        if !(self.bottom()..self.low).contains(&event.seq) {
            return true;
        }
        let window = &mut self.open;
        window.bytes += size(&event);
        window.events.push_back(event);
        let over = |window: &Window| {
            let events = self.kept.len() + window.events.len();
            events > self.limit || window.bytes > PAGE_BYTES_MAX && events > 1
        };
        while over(window)
            && let Some(oldest) = window.events.pop_front()
        {
            window.bytes -= size(&oldest);
            window.floor = window.floor.max(oldest.seq);
        }
        true
    }

    fn lack(&mut self, lack: Lack) -> bool {
        let Some(lack) = lack.within(self.bottom(), self.low - 1) else {
            return true;
        };
        let window = &mut self.open;
        let joined = window.lacks.back().and_then(|before| before.joined(lack));
        match (joined, window.lacks.back_mut()) {
            (Some(all), Some(before)) => *before = all,
            _ => window.lacks.push_back(lack),
        }
        if window.lacks.len() > LACKS_KEPT_MAX
            && let Some(oldest) = window.lacks.pop_front()
        {
            window.floor = window.floor.max(oldest.to);
        }
        true
    }

    fn close(&mut self) {
        let bottom = self.bottom();
        self.name();
        let window = &mut self.open;
        let floor = std::mem::take(&mut window.floor);
        self.low = bottom.max(floor + 1);
        for event in window.events.drain(..).rev() {
            if event.seq > floor {
                self.kept.push_front(event);
            }
        }
        window.lacks.clear();
        window.bytes = self.kept.iter().map(size).sum();
        self.ended = floor >= bottom || self.kept.len() >= self.limit;
        self.span = self.span.next();
    }

    fn part(self) -> Part {
        let (first_seq, last_seq) = (self.low, self.before.saturating_sub(1));
        Part {
            events: self.kept.into(),
            first_seq,
            last_seq,
            lack: self.lack.and_then(|lack| lack.within(first_seq, last_seq)),
            more: first_seq > 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::lacks::tests::{Past, event};

    proptest! {
        #[test]
        fn pages_are_the_whole(past in Past::any(), limit in 1..9_usize) {
            let (mut before, mut found) = (past.last + 1, Vec::new());
            for pages in 0.. {
                prop_assert!(pages < 10_000, "a circle");
                let part = past.page(Downwards::new(before, limit));
                prop_assert_eq!(part.last_seq, before - 1);
                past.holds(&part, limit);
                found.extend(part.events.iter().rev().map(|event| event.seq));
                prop_assert!(part.first_seq < before, "it goes on");
                before = part.first_seq;
                if !part.more {
                    break;
                }
            }
            prop_assert_eq!(before, 1);
            found.reverse();
            prop_assert_eq!(found, past.events);
        }
    }

    #[test]
    fn bytes_within_and_beyond_what_a_page_holds() {
        let heavy = |seq| Stored {
            payload: Bytes::from(vec![b'x'; PAGE_BYTES_MAX / 2]),
            ..event(seq)
        };
        let gathered = |events: [u64; 3]| {
            let mut page = Downwards::new(10, 9);
            for seq in events {
                assert!(page.event(heavy(seq)));
            }
            page.close();
            let part = page.part();
            let found: Vec<u64> = part.events.iter().map(|event| event.seq).collect();
            (found, part.first_seq)
        };
        // The newest fits alone, whatever it has.
        assert_eq!(gathered([3, 5, 9]), (vec![9], 6));
    }
}
