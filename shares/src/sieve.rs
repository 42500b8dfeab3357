//! Which events of its channel a subscription is not sent, and how its client is told, so
//! that it can check the chain all the same: a machine.
//!
//! Owns the events that were passed over since the client was told last: as a link of the
//! chain, like an event's own. Told before the next event that is sent, and before anything
//! else that says how far the subscription has come; and after so many of them, so that a
//! client that wants little stands near the end of what was looked at. It sends nothing.

use std::sync::Arc;

use protocol::filter::HeaderFilter;
use protocol::frame::{Passed, Push};
use protocol::header::Headers;

/// Events that are passed over before their client is told without anything else to tell:
/// what it costs more to read them again at a reconnect is little, and so is the frame.
pub const PASSED_EVENTS: u64 = 256;

/// A place in a channel's chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The channel's sequence before; 0: none, or no longer kept.
    pub prev: u64,
    /// The sequence.
    pub seq: u64,
    /// When it was stored, microseconds since 1970.
    pub time: u64,
}

/// What one subscription is not sent.
#[derive(Debug)]
pub struct Sieve {
    channel: Arc<str>,
    filter: Arc<HeaderFilter>,
    passed: Option<Passed>,
}

impl Sieve {
    /// Nothing has been passed over yet.
    pub fn new(channel: Arc<str>, filter: Arc<HeaderFilter>) -> Self {
        Self {
            channel,
            filter,
            passed: None,
        }
    }

    /// Whether an event with these headers is sent.
    pub fn lets(&self, headers: &Headers) -> bool {
        self.filter.matches(headers)
    }

    /// An event is not sent. True if the client should be told now.
    pub fn pass(&mut self, place: Place) -> bool {
        let channel = &self.channel;
        let passed = self.passed.get_or_insert_with(|| Passed {
            channel: channel.as_ref().into(),
            prev: place.prev,
            seq: place.seq,
            time: place.time,
            count: 0,
        });
        (passed.seq, passed.time) = (place.seq, place.time);
        passed.count += 1;
        passed.count >= PASSED_EVENTS
    }

    /// What the client has to be told, until it has been.
    pub fn untold(&self) -> Option<Push> {
        self.passed.clone().map(Push::Passed)
    }

    /// The client has been told.
    pub fn told(&mut self) {
        self.passed = None;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn headers(kind: &str) -> Headers {
        let mut headers = Headers::new();
        headers.push_user("kind", kind).unwrap();
        headers
    }

    fn sieve() -> Sieve {
        let filter: HeaderFilter = r#"{"kind":["a"]}"#.parse().unwrap();
        Sieve::new("chat.a".into(), Arc::new(filter))
    }

    #[test]
    fn what_is_passed_over_is_one_link_of_the_chain() {
        let mut sieve = sieve();
        assert!(sieve.lets(&headers("a")) && !sieve.lets(&headers("b")));
        assert_eq!(sieve.untold(), None);
        let place = |prev, seq| Place {
            prev,
            seq,
            time: 10 * seq,
        };
        assert!(!sieve.pass(place(4, 7)) && !sieve.pass(place(7, 9)));
        let passed = Passed {
            channel: "chat.a".into(),
            prev: 4,
            seq: 9,
            time: 90,
            count: 2,
        };
        assert_eq!(sieve.untold(), Some(Push::Passed(passed.clone())));
        assert_eq!(
            sieve.untold(),
            Some(Push::Passed(passed)),
            "until it is told"
        );
        sieve.told();
        assert_eq!(sieve.untold(), None);
        let mut link = 9..;
        let due = (1..).find(|_| {
            let prev = link.next().unwrap();
            sieve.pass(place(prev, prev + 1))
        });
        assert_eq!(due, Some(PASSED_EVENTS));
    }

    proptest! {
        /// Whoever takes events and what is told of the others in order has a chain without
        /// a break, and has counted every event.
        #[test]
        fn the_chain_never_breaks(kinds in proptest::collection::vec(any::<bool>(), 0..900)) {
            let (mut sieve, mut last, mut counted) = (sieve(), 0, 0);
            let mut take = |prev: u64, seq: u64, count: u64| {
                assert_eq!(prev, last);
                (last, counted) = (seq, counted + count);
            };
            for (at, wanted) in (0u64..).zip(&kinds) {
                let (prev, seq) = (3 * at, 3 * at + 3);
                let tell = match wanted {
                    true => true,
                    false => sieve.pass(Place { prev, seq, time: 0 }),
                };
                if tell && let Some(Push::Passed(passed)) = sieve.untold() {
                    take(passed.prev, passed.seq, passed.count);
                    sieve.told();
                }
                if *wanted {
                    take(prev, seq, 1);
                }
            }
            if let Some(Push::Passed(passed)) = sieve.untold() {
                take(passed.prev, passed.seq, passed.count);
            }
            prop_assert_eq!(counted, kinds.len() as u64);
        }
    }
}
