//! The newest events of a place, from which functions take at their own pace. Pure.
//!
//! Owns the events. It holds everything behind a position without a gap, and says of any
//! other position that it cannot help there.

use std::collections::VecDeque;

use protocol::bus::Stored;

/// Bytes that stay for those who are slower than the fastest: about as many events as a
/// few batches have.
const KEPT_BYTES_MAX: usize = 1 << 20;
/// What an event counts beside its bytes.
const EVENT_BYTES: usize = 256;

/// Events of a place, ascending.
#[derive(Debug)]
pub(super) struct Window {
    /// Everything later than this that was read is held.
    after: u64,
    /// The last one that was read.
    last: u64,
    /// How far the fastest function has come.
    front: u64,
    events: VecDeque<Stored>,
    bytes: usize,
}

impl Window {
    /// An empty one that begins at a sequence.
    pub(super) fn from(seq: u64) -> Self {
        let after = seq.saturating_sub(1);
        Self {
            after,
            last: after,
            front: after,
            events: VecDeque::new(),
            bytes: 0,
        }
    }

    /// Whether whoever has everything up to this position gets the rest here.
    pub(super) fn covers(&self, cursor: u64) -> bool {
        cursor >= self.after
    }

    /// Whether all that was read lies before a position.
    pub(super) fn is_before(&self, cursor: u64) -> bool {
        self.last < cursor
    }

    /// How many events nobody has taken yet.
    pub(super) fn untaken(&self) -> usize {
        self.unread(self.front)
    }

    /// How many events lie behind a position.
    pub(super) fn unread(&self, cursor: u64) -> usize {
        self.events.len() - self.index(cursor)
    }

    /// Adds what was read next.
    pub(super) fn push(&mut self, events: Vec<Stored>) {
        for event in events {
            debug_assert!(event.seq > self.last, "read in order");
            self.last = event.seq;
            self.bytes += weight(&event);
            self.events.push_back(event);
        }
        self.trim();
    }

    /// The next events behind a position that is covered. `alone`: nobody else takes, so
    /// that nothing needs to stay.
    pub(super) fn take(&mut self, cursor: u64, most: usize, alone: bool) -> Vec<Stored> {
        if alone {
            self.forget(cursor);
            let most = most.min(self.events.len());
            let events: Vec<Stored> = self.events.drain(..most).collect();
            self.bytes -= events.iter().map(weight).sum::<usize>();
            self.after = events.last().map_or(self.after, |event| event.seq);
            self.front = self.front.max(self.after);
            return events;
        }
        let events: Vec<Stored> = self
            .events
            .range(self.index(cursor)..)
            .take(most)
            .cloned()
            .collect();
        let reached = events
            .last()
            .map_or(cursor.min(self.last), |event| event.seq);
        self.front = self.front.max(reached);
        self.trim();
        events
    }

    /// Drops what lies up to a position.
    fn forget(&mut self, cursor: u64) {
        while self.events.front().is_some_and(|event| event.seq <= cursor) {
            self.drop_first();
        }
        self.front = self.front.max(cursor.min(self.last));
    }

    /// Drops the oldest beyond the limit; what nobody has taken stays.
    fn trim(&mut self) {
        while self.bytes > KEPT_BYTES_MAX
            && let Some(first) = self.events.front()
            && first.seq <= self.front
        {
            self.drop_first();
        }
    }

    fn drop_first(&mut self) {
        if let Some(event) = self.events.pop_front() {
            self.bytes -= weight(&event);
            self.after = event.seq;
        }
    }

    fn index(&self, cursor: u64) -> usize {
        self.events.partition_point(|event| event.seq <= cursor)
    }
}

fn weight(event: &Stored) -> usize {
    EVENT_BYTES + event.payload.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use protocol::header::Headers;

    use super::*;

    fn event(seq: u64, bytes: usize) -> Stored {
        Stored {
            seq,
            time_us: seq,
            subject: "s".into(),
            headers: Headers::new(),
            payload: vec![0; bytes].into(),
        }
    }

    #[derive(Debug, Clone)]
    enum Act {
        /// So many events come, of which each so many sequences after the one before.
        Come(usize, u64),
        /// This function takes at most so many.
        Take(usize, usize),
    }

    fn acts() -> impl Strategy<Value = Vec<Act>> {
        let act = prop_oneof![
            (0..9usize, 1..4u64).prop_map(|(many, step)| Act::Come(many, step)),
            (0..3usize, 1..20usize).prop_map(|(who, most)| Act::Take(who, most)),
        ];
        proptest::collection::vec(act, 0..200)
    }

    proptest! {
        /// Whoever is covered gets all that came since its position, once and in order,
        /// however fast it is; the bytes that were taken stay under the limit.
        #[test]
        fn each_function_gets_everything_in_order_or_is_sent_away(
            acts in acts(), functions in 1..4usize, start in 0..30u64
        ) {
            const BYTES: usize = 90_000;
            let mut window = Window::from(10);
            let mut all: Vec<u64> = Vec::new();
            let mut cursors = vec![9u64; functions];
            cursors[0] = start;
            for act in acts {
                match act {
                    Act::Come(many, step) => {
                        let mut batch = Vec::new();
                        for _ in 0..many {
                            let seq = all.last().copied().unwrap_or(9) + step;
                            all.push(seq);
                            batch.push(event(seq, BYTES));
                        }
                        window.push(batch);
                    }
                    Act::Take(who, most) => {
                        let who = who % functions;
                        let cursor = cursors[who];
                        if !window.covers(cursor) {
                            // It reads by itself meanwhile, and comes back.
                            cursors[who] = all.last().copied().unwrap_or(cursor).max(cursor);
                            continue;
                        }
                        let taken = window.take(cursor, most, functions == 1);
                        let due = all.iter().copied().filter(|seq| *seq > cursor).take(most);
                        prop_assert!(taken.iter().map(|event| event.seq).eq(due));
                        if let Some(last) = taken.last() {
                            cursors[who] = last.seq;
                        }
                    }
                }
                let stays = window.events.len() - window.untaken();
                prop_assert!(stays * (BYTES + EVENT_BYTES) <= KEPT_BYTES_MAX);
                let sum: usize = window.events.iter().map(weight).sum();
                prop_assert_eq!(window.bytes, sum);
            }
        }
    }

    #[test]
    fn one_that_is_slow_is_sent_away_and_the_fastest_never() {
        let mut window = Window::from(1);
        let large = KEPT_BYTES_MAX / 2;
        window.push(vec![event(1, large), event(2, large), event(3, large)]);
        assert!(window.covers(0), "nobody has taken anything");
        assert_eq!(window.untaken(), 3);
        assert_eq!(window.take(0, 2, false).len(), 2);
        assert!(!window.covers(0), "two have made room");
        assert_eq!(window.take(2, 9, false).len(), 1);
        assert_eq!(window.untaken(), 0);
    }

    #[test]
    fn one_that_is_ahead_is_covered_and_gets_only_what_is_new_to_it() {
        let mut window = Window::from(1);
        window.push(vec![event(4, 1)]);
        assert!(window.covers(6) && window.is_before(6));
        assert!(window.take(6, 9, false).is_empty());
        assert_eq!(window.untaken(), 0, "more is read for it");
        window.push(vec![event(6, 1), event(7, 1)]);
        assert_eq!(window.take(6, 9, false).len(), 1);
        assert_eq!(
            window.take(0, 9, false).len(),
            3,
            "it was for others all the same"
        );
    }
}
