//! Ephemeral events that wait for one client, bounded in bytes: a machine.
//!
//! Beside the outbox, so that they take no room from what is stored; and they are taken
//! when nothing of that is left to take, so that they delay none of it. Policy when it is
//! full: the oldest give way, for of a cursor or a tick the newest is what counts. How
//! many did is told before the next one. Of events with a key the newest of each stays,
//! full or not, in the place of the first, and says how many it stands for. Owns the events and the counts; it never awaits.

use std::collections::{HashMap, VecDeque};
use std::ops::AddAssign;
use std::sync::Arc;

use bytes::Bytes;
use protocol::frame::{Dropped, Encoding, Push, encode};

use super::budget::Charge;
use super::credit::Credits;

/// An event that waits, or several that go together.
pub trait Passing {
    /// Its channel.
    fn channel(&self) -> &Arc<str>;
    /// Of events with one key that wait for a client the newest alone stays.
    fn key(&self) -> Option<&Arc<str>>;
    /// How many events it is.
    fn count(&self) -> u64;
    /// What a client in this encoding is sent.
    fn payload(&self, encoding: Encoding) -> &Bytes;
    /// The same for a client to whom it stands for so many older ones.
    fn standing_for(&self, encoding: Encoding, conflated: u64) -> Bytes;
}

/// Events that wait for one client.
#[derive(Debug)]
pub struct Lossy<E> {
    encoding: Encoding,
    events: VecDeque<Waiting<E>>,
    /// How many were taken or gave way before the first of `events`.
    before: u64,
    /// Where the event of a key waits, counted as `before` is; by subscription and key.
    keys: HashMap<(u64, Arc<str>), u64>,
    bytes: usize,
    limit: usize,
    /// What they have of the node's bytes.
    charge: Charge,
    /// One entry for each subscription that lost some; bounded by a session's
    /// subscriptions.
    lost: Vec<Lost>,
}

#[derive(Debug)]
struct Waiting<E> {
    subscription: u64,
    event: Arc<E>,
    /// Older events of its key that it stands for.
    conflated: u64,
}

#[derive(Debug)]
struct Lost {
    subscription: u64,
    channel: Arc<str>,
    count: u64,
}

impl Lost {
    fn told(&self) -> Dropped {
        Dropped {
            channel: self.channel.as_ref().into(),
            count: self.count,
        }
    }
}

/// What became of older events when a newer one came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Passed {
    /// So many gave way, for there was no room.
    pub dropped: u64,
    /// So many are stood for by the new one.
    pub conflated: u64,
}

impl AddAssign for Passed {
    fn add_assign(&mut self, other: Self) {
        self.dropped += other.dropped;
        self.conflated += other.conflated;
    }
}

impl<E: Passing> Lossy<E> {
    /// Nothing waits, and at most so many bytes may, which are a part of the node's.
    pub fn new(encoding: Encoding, limit: usize, charge: Charge) -> Self {
        Self {
            encoding,
            events: VecDeque::new(),
            before: 0,
            keys: HashMap::new(),
            bytes: 0,
            limit,
            charge,
            lost: Vec::new(),
        }
    }

    /// Takes an event of a subscription. One that is longer than the limit is taken if
    /// nothing else waits: it would otherwise never be delivered.
    pub fn push(&mut self, subscription: u64, event: Arc<E>) -> Passed {
        let mut passed = Passed::default();
        self.bytes += event.payload(self.encoding).len();
        let key = event.key().map(|key| (subscription, key.clone()));
        let place = key.as_ref().and_then(|key| self.keys.get(key));
        let place = place.and_then(|place| usize::try_from(place - self.before).ok());
        if let Some(waiting) = place.and_then(|place| self.events.get_mut(place)) {
            self.bytes -= waiting.event.payload(self.encoding).len();
            waiting.event = event;
            waiting.conflated += 1;
            passed.conflated = 1;
        } else {
            if let Some(key) = key {
                self.keys
                    .insert(key, self.before + self.events.len() as u64);
            }
            self.events.push_back(Waiting {
                subscription,
                event,
                conflated: 0,
            });
        }
        while self.is_over() && self.events.len() > 1 {
            let Some(oldest) = self.pop() else { break };
            let count = oldest.event.count() + oldest.conflated;
            self.lose(oldest.subscription, oldest.event.channel(), count);
            passed.dropped += count;
        }
        self.charge.set(self.bytes);
        passed
    }

    fn is_over(&self) -> bool {
        self.bytes > self.limit || !self.charge.allows(self.bytes)
    }

    /// The event that waits longest.
    fn pop(&mut self) -> Option<Waiting<E>> {
        let oldest = self.events.pop_front()?;
        self.before += 1;
        self.bytes -= oldest.event.payload(self.encoding).len();
        if let Some(key) = oldest.event.key() {
            self.keys.remove(&(oldest.subscription, key.clone()));
        }
        Some(oldest)
    }

    fn lose(&mut self, subscription: u64, channel: &Arc<str>, count: u64) {
        let mut lost = self.lost.iter_mut();
        match lost.find(|lost| lost.subscription == subscription) {
            Some(lost) => lost.count += count,
            None => self.lost.push(Lost {
                subscription,
                channel: channel.clone(),
                count,
            }),
        }
    }

    /// An event of a subscription is not taken: its client has granted none.
    pub fn refuse(&mut self, subscription: u64, event: &E) -> Passed {
        let dropped = event.count();
        self.lose(subscription, event.channel(), dropped);
        Passed {
            dropped,
            conflated: 0,
        }
    }

    /// Hands out at most so many frames, in order: what was lost first. What a subscription
    /// has no credit for is lost, and told once it has some. Returns how many were lost so.
    pub fn take(
        &mut self,
        frames_max: usize,
        mut credits: Option<&mut Credits>,
        mut into: impl FnMut(Bytes),
    ) -> u64 {
        let (mut told, mut dropped, encoding) = (0, 0, self.encoding);
        self.lost.retain(|lost| {
            let credits = credits.as_deref();
            let may = credits.is_none_or(|credits| credits.allows(lost.subscription));
            if told == frames_max || !may {
                return true;
            }
            told += 1;
            into(encode(encoding, &Push::Dropped(lost.told())));
            false
        });
        while told < frames_max {
            let Some(waiting) = self.pop() else { break };
            let (id, count) = (waiting.subscription, waiting.event.count());
            let credits = credits.as_deref_mut();
            if credits.is_none_or(|credits| credits.spend(id, count)) {
                told += 1;
                into(waiting.event.standing_for(encoding, waiting.conflated));
            } else {
                let count = count + waiting.conflated;
                self.lose(id, waiting.event.channel(), count);
                dropped += count;
            }
        }
        self.charge.set(self.bytes);
        dropped
    }

    /// A subscription has ended: nothing of it is left.
    pub fn forget(&mut self, subscription: u64) {
        self.lost.retain(|lost| lost.subscription != subscription);
        let kept: Vec<Waiting<E>> = std::iter::from_fn(|| self.pop()).collect();
        for waiting in kept {
            if waiting.subscription == subscription {
                continue;
            }
            self.bytes += waiting.event.payload(self.encoding).len();
            if let Some(key) = waiting.event.key() {
                let place = self.before + self.events.len() as u64;
                self.keys.insert((waiting.subscription, key.clone()), place);
            }
            self.events.push_back(waiting);
        }
    }

    /// Whether there is nothing to hand out.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty() && self.lost.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use protocol::frame::{Ephemeral, FromServer, Payload, decode_from_server};

    use super::*;
    use crate::budget::{Budget, FREE_BYTES};

    #[derive(Debug)]
    struct Cursor {
        channel: Arc<str>,
        key: Option<Arc<str>>,
        id: String,
        bytes: usize,
        payload: Bytes,
    }

    impl Cursor {
        fn encoded(&self, encoding: Encoding, conflated: u64) -> Bytes {
            let event = Ephemeral {
                channel: self.channel.as_ref().into(),
                time: 0,
                id: self.id.clone(),
                user: None,
                client: None,
                n: None,
                function: None,
                content_type: None,
                clock: None,
                headers: Default::default(),
                conflated,
                data: Payload::for_json(&vec![b'1'; self.bytes].into(), true),
            };
            encode(encoding, &Push::Ephemeral(event))
        }
    }

    impl Passing for Cursor {
        fn channel(&self) -> &Arc<str> {
            &self.channel
        }

        fn key(&self) -> Option<&Arc<str>> {
            self.key.as_ref()
        }

        fn count(&self) -> u64 {
            1
        }

        fn payload(&self, _: Encoding) -> &Bytes {
            &self.payload
        }

        fn standing_for(&self, encoding: Encoding, conflated: u64) -> Bytes {
            self.encoded(encoding, conflated)
        }
    }

    fn lossy(limit: usize) -> Lossy<Cursor> {
        Lossy::new(Encoding::Json, limit, Budget::new(usize::MAX >> 1).charge())
    }

    fn event(channel: &str, n: u64) -> Arc<Cursor> {
        keyed(channel, n, None)
    }

    /// An event with a key, by which it is conflated.
    fn keyed(channel: &str, n: u64, key: Option<&str>) -> Arc<Cursor> {
        sized(channel, n, key, 1)
    }

    fn sized(channel: &str, n: u64, key: Option<&str>, bytes: usize) -> Arc<Cursor> {
        let cursor = Cursor {
            channel: channel.into(),
            key: key.map(Arc::from),
            id: format!("{n:03}"),
            bytes,
            payload: Bytes::new(),
        };
        let payload = cursor.encoded(Encoding::Json, 0);
        Arc::new(Cursor { payload, ..cursor })
    }

    const NOTHING: Passed = Passed {
        dropped: 0,
        conflated: 0,
    };
    const DROPPED: Passed = Passed {
        dropped: 1,
        conflated: 0,
    };
    const CONFLATED: Passed = Passed {
        dropped: 0,
        conflated: 1,
    };

    fn size() -> usize {
        event("room.a", 1).payload(Encoding::Json).len()
    }

    fn taken(lossy: &mut Lossy<Cursor>, frames_max: usize) -> Vec<String> {
        let mut frames = Vec::new();
        lossy.take(frames_max, None, |frame| {
            frames.extend(decode_from_server(Encoding::Json, &frame).0);
        });
        let told = |frame: FromServer| match (frame.ephemeral, frame.dropped) {
            (Some(event), None) if event.conflated > 0 => {
                format!("{} for {} more", event.id, event.conflated)
            }
            (Some(event), None) => event.id,
            (None, Some(dropped)) => format!("{} -{}", dropped.channel, dropped.count),
            other => panic!("{other:?}"),
        };
        frames.into_iter().map(told).collect()
    }

    #[test]
    fn the_limit_obeyed_and_violated() {
        let mut lossy = lossy(2 * size());
        assert_eq!(lossy.push(1, event("room.a", 1)), NOTHING);
        assert_eq!(lossy.push(2, event("room.b", 2)), NOTHING);
        let third = lossy.push(1, event("room.a", 3));
        assert_eq!(third, DROPPED, "the oldest gives way");
        assert_eq!(lossy.push(1, event("room.a", 4)), DROPPED);
        let told = ["room.a -1", "room.b -1", "003", "004"];
        assert_eq!(taken(&mut lossy, 10), told);
        assert!(lossy.is_empty() && lossy.bytes == 0);
        lossy.push(1, event("room.a", 5));
        assert_eq!(taken(&mut lossy, 10), ["005"], "it is told once");
    }

    #[test]
    fn an_empty_one_takes_an_event_beyond_the_limit() {
        let mut lossy = lossy(1);
        assert_eq!(lossy.push(1, event("room.a", 1)), NOTHING);
        assert_eq!(lossy.push(1, event("room.a", 2)), DROPPED);
        assert_eq!(taken(&mut lossy, 1), ["room.a -1"]);
        assert_eq!(taken(&mut lossy, 1), ["002"]);
    }

    #[test]
    fn nothing_is_left_of_a_subscription_that_ended() {
        let mut lossy = lossy(2 * size());
        for (subscription, n) in [(1, 1), (1, 2), (2, 3)] {
            lossy.push(subscription, event("room.a", n));
        }
        lossy.forget(1);
        assert_eq!(lossy.bytes, size());
        assert_eq!(taken(&mut lossy, 10), ["003"]);
    }

    #[test]
    fn of_one_key_the_newest_stays_where_the_first_was_and_says_for_how_many() {
        let mut lossy = lossy(100 * size());
        let mut push = |subscription, n, key| lossy.push(subscription, keyed("room.a", n, key));
        assert_eq!(push(1, 1, Some("ann")), NOTHING);
        assert_eq!(push(1, 2, Some("joe")), NOTHING);
        assert_eq!(push(2, 3, Some("ann")), NOTHING, "of another subscription");
        assert_eq!(push(1, 4, None), NOTHING);
        assert_eq!(push(1, 5, Some("ann")), CONFLATED);
        assert_eq!(push(1, 6, Some("ann")), CONFLATED);
        assert_eq!(taken(&mut lossy, 1), ["006 for 2 more"]);
        assert_eq!(lossy.push(1, keyed("room.a", 7, Some("ann"))), NOTHING);
        assert_eq!(lossy.push(1, keyed("room.a", 8, Some("joe"))), CONFLATED);
        lossy.forget(2);
        assert_eq!(lossy.push(1, keyed("room.a", 9, Some("ann"))), CONFLATED);
        let told = ["008 for 1 more", "004", "009 for 1 more"];
        assert_eq!(taken(&mut lossy, 10), told);
        assert!(lossy.is_empty() && lossy.keys.is_empty() && lossy.bytes == 0);
    }

    #[test]
    fn what_gives_way_counts_what_it_stood_for() {
        let size = keyed("room.a", 1, Some("ann"))
            .payload(Encoding::Json)
            .len();
        let mut lossy = lossy(size);
        lossy.push(1, keyed("room.a", 1, Some("ann")));
        lossy.push(1, keyed("room.a", 2, Some("ann")));
        let dropped = lossy.push(1, keyed("room.a", 3, Some("joe"))).dropped;
        assert_eq!(dropped, 2);
        assert_eq!(taken(&mut lossy, 10), ["room.a -2", "003"]);
    }

    #[test]
    fn without_credit_they_are_dropped_and_told_once_there_is_some() {
        let (mut lossy, mut credits) = (lossy(100 * size()), Credits::default());
        credits.limit(1, 2);
        for n in 1..=3 {
            lossy.push(1, event("room.a", n));
        }
        lossy.push(2, event("room.b", 4));
        let take = |lossy: &mut Lossy<Cursor>, credits: &mut Credits| {
            let mut frames = Vec::new();
            let dropped = lossy.take(10, Some(credits), |frame| frames.push(frame));
            (frames.len(), dropped)
        };
        assert_eq!(take(&mut lossy, &mut credits), (3, 1), "of four events");
        lossy.refuse(1, &event("room.a", 5));
        assert_eq!(take(&mut lossy, &mut credits), (0, 0), "nobody is told yet");
        assert!(!lossy.is_empty());
        credits.grant(1, 1).unwrap();
        assert_eq!(taken(&mut lossy, 10), ["room.a -2"]);
        assert!(lossy.is_empty());
    }

    #[test]
    fn the_bytes_of_the_node_obeyed_and_violated() {
        let event = |n| sized("room.a", n, None, FREE_BYTES / 2);
        let budget = Budget::new(0);
        let mut lossy = Lossy::new(Encoding::Json, 10 * FREE_BYTES, budget.charge());
        assert_eq!(lossy.push(1, event(1)), NOTHING);
        assert_eq!(
            lossy.push(1, event(2)),
            DROPPED,
            "the node has no more bytes"
        );
        let mut lossy = Lossy::new(
            Encoding::Json,
            10 * FREE_BYTES,
            Budget::new(FREE_BYTES).charge(),
        );
        lossy.push(1, event(1));
        assert_eq!(lossy.push(1, event(2)), NOTHING);
    }
}
