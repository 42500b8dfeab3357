//! What a page says of a range: its events, and the one part of it that is missing. Pure.

use protocol::bus::Stored;
use protocol::frame::GapReason;

/// A range that is missing, or may be in part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lack {
    /// First sequence.
    pub from: u64,
    /// Last sequence.
    pub to: u64,
    /// Why.
    pub reason: GapReason,
}

impl Lack {
    /// What of it lies in a range; `None`: nothing.
    pub(crate) fn within(self, from: u64, to: u64) -> Option<Self> {
        let (from, to) = (self.from.max(from), self.to.min(to));
        (from <= to).then_some(Self { from, to, ..self })
    }

    /// Both as one range, if nothing lies between them.
    pub(crate) fn joined(self, other: Self) -> Option<Self> {
        let touches =
            self.from <= other.to.saturating_add(1) && other.from <= self.to.saturating_add(1);
        touches.then(|| Self {
            from: self.from.min(other.from),
            to: self.to.max(other.to),
            // What the mirror lacks for a reason of its own is worth knowing of.
            reason: match (self.reason, other.reason) {
                (GapReason::Retention, reason) => reason,
                (reason, _) => reason,
            },
        })
    }
}

/// A stretch of a channel's past: each event of the channel with a sequence from
/// `first_seq` to `last_seq` is in `events`, but for those in `lack`.
#[derive(Debug)]
pub struct Part {
    /// The events, rising.
    pub events: Vec<Stored>,
    /// The first sequence that is accounted for.
    pub first_seq: u64,
    /// The last one; below `first_seq`: there is none.
    pub last_seq: u64,
    /// What of it is missing.
    pub lack: Option<Lack>,
    /// Whether the range that was asked for goes on.
    pub more: bool,
}

impl Part {
    /// What there is, of a page that begins wherever the mirror does: what its own
    /// retention has taken before is no gap.
    pub fn from_its_beginning(mut self) -> Self {
        let before = self
            .lack
            .filter(|lack| lack.from == self.first_seq && lack.reason == GapReason::Retention);
        if let Some(before) = before {
            (self.first_seq, self.lack) = (before.to + 1, None);
        }
        self
    }
}

/// A page while it is gathered. Windows of sequences are read one after the other, each
/// upwards; what is missing of a window is told where it would have come.
pub(crate) trait Gather {
    /// The window that is to be read next, both ends inclusive; `None`: the page is whole.
    fn window(&self) -> Option<(u64, u64)>;

    /// An event of the window. False: nothing more of it is wanted.
    fn event(&mut self, event: Stored) -> bool;

    /// A missing range. False: nothing more of the window is wanted.
    fn lack(&mut self, lack: Lack) -> bool;

    /// The window has been read to its end.
    fn close(&mut self);

    /// The page as far as it has come: every closed window is a part of it.
    fn part(self) -> Part;
}

/// Sequences of the first window: more than a page has events, since other channels have
/// most of them.
const SPAN_FIRST: u64 = 1 << 10;
/// By how much the next one is larger: a channel with few events is reached in few steps.
const SPAN_FACTOR: u64 = 8;
/// Most sequences of a window: a bridge reads so many records in about a second.
const SPAN_MAX: u64 = 1 << 19;

/// How many sequences the next window has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span(u64);

impl Span {
    pub(crate) const FIRST: Self = Self(SPAN_FIRST);

    pub(crate) fn get(self) -> u64 {
        self.0
    }

    pub(crate) fn next(self) -> Self {
        Self((self.0 * SPAN_FACTOR).min(SPAN_MAX))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;
    use protocol::header::Headers;

    use super::*;

    fn lack(from: u64, to: u64) -> Lack {
        let reason = GapReason::Retention;
        Lack { from, to, reason }
    }

    /// A channel's past: its events, and what the mirror lacks.
    #[derive(Debug, Clone)]
    pub(crate) struct Past {
        pub last: u64,
        pub events: Vec<u64>,
        pub lacks: Vec<Lack>,
    }

    impl Past {
        /// Any past that ends with a sequence of at most some thousands, so that several
        /// windows are read.
        pub(crate) fn any() -> impl Strategy<Value = Self> {
            let events = prop::collection::btree_set(1..=6_000_u64, 0..60);
            let lacks = prop::collection::vec((1..=6_000_u64, 0..900_u64), 0..5);
            (1..=6_000_u64, events, lacks).prop_map(|(last, events, lacks)| {
                let mut apart: Vec<Lack> = Vec::new();
                let mut sorted = lacks;
                sorted.sort_unstable();
                for (from, length) in sorted {
                    let from = from.max(apart.last().map_or(1, |lack| lack.to + 1));
                    apart.extend(lack(from, from + length).within(1, last));
                }
                let lost = |seq: &u64| apart.iter().any(|l| (l.from..=l.to).contains(seq));
                let events = events.into_iter().filter(|seq| *seq <= last && !lost(seq));
                Self {
                    last,
                    events: events.collect(),
                    lacks: apart,
                }
            })
        }

        /// Reads windows until the page is whole.
        pub(crate) fn page(&self, mut page: impl Gather) -> Part {
            while let Some((from, to)) = page.window() {
                assert!(1 <= from && from <= to && to <= self.last, "{from} {to}");
                let lacks = self.lacks.iter().filter_map(|lack| lack.within(from, to));
                let mut items: Vec<_> = lacks.map(|lack| (lack.from, Some(lack))).collect();
                let events = self.events.iter().filter(|seq| (from..=to).contains(seq));
                items.extend(events.map(|seq| (*seq, None)));
                items.sort_unstable_by_key(|(seq, _)| *seq);
                let whole = items.into_iter().all(|(seq, lack)| match lack {
                    Some(lack) => page.lack(lack),
                    None => page.event(event(seq)),
                });
                if whole {
                    page.close();
                }
            }
            page.part()
        }

        /// Whether a page is right in itself.
        pub(crate) fn holds(&self, part: &Part, limit: usize) {
            let inside = part.first_seq..=part.last_seq;
            let lack = part.lack;
            let lost = |seq: &u64| lack.is_some_and(|l| (l.from..=l.to).contains(seq));
            let found: Vec<u64> = part.events.iter().map(|event| event.seq).collect();
            let wanted = self.events.iter().filter(|seq| inside.contains(seq));
            let wanted: Vec<u64> = wanted.copied().filter(|seq| !lost(seq)).collect();
            assert_eq!(found, wanted, "{part:?}");
            assert!(found.len() <= limit);
            let true_lacks = self.lacks.iter();
            let true_lacks = true_lacks.filter_map(|l| l.within(part.first_seq, part.last_seq));
            for one in true_lacks {
                assert!(lost(&one.from) && lost(&one.to), "{one:?} {part:?}");
            }
            if let Some(lack) = lack {
                assert!(inside.contains(&lack.from) && inside.contains(&lack.to));
                let ends = [lack.from, lack.to];
                let known = |seq: &u64| self.lacks.iter().any(|l| (l.from..=l.to).contains(seq));
                assert!(ends.iter().all(known), "{lack:?}");
            }
        }
    }

    pub(crate) fn event(seq: u64) -> Stored {
        Stored {
            seq,
            time_us: seq,
            subject: String::new(),
            headers: Headers::new(),
            payload: Bytes::from_static(b"x"),
        }
    }

    #[test]
    fn ranges_that_touch_become_one() {
        assert_eq!(lack(1, 4).joined(lack(5, 9)), Some(lack(1, 9)));
        assert_eq!(lack(5, 9).joined(lack(2, 6)), Some(lack(2, 9)));
        assert_eq!(lack(1, 4).joined(lack(6, 9)), None);
        let mirror = Lack {
            reason: GapReason::Mirror,
            ..lack(5, 9)
        };
        assert_eq!(lack(1, 4).joined(mirror).unwrap().reason, GapReason::Mirror);
        assert_eq!(mirror.joined(lack(1, 4)).unwrap().reason, GapReason::Mirror);
    }

    #[test]
    fn a_window_grows_to_its_limit_and_not_beyond() {
        let mut span = Span::FIRST;
        for _ in 0..9 {
            span = span.next();
        }
        assert_eq!((span.get(), span.next().get()), (SPAN_MAX, SPAN_MAX));
    }
}
