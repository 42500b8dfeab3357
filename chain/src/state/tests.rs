//! The relay against a model log: whatever is lost, doubled or late on the way, what
//! subscribers see is the log.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Item {
    seq: u64,
    prev: u64,
}

impl Link for Item {
    fn seq(&self) -> u64 {
        self.seq
    }
    fn prev(&self) -> u64 {
        self.prev
    }
    fn size(&self) -> usize {
        700
    }
}

/// A channel's log: sequences with holes, as other channels share the stream.
fn log(steps: &[u64]) -> Vec<Item> {
    let mut prev = 0;
    let mut seq = 0;
    let mut items = Vec::new();
    for step in steps {
        seq += step;
        items.push(Item { seq, prev });
        prev = seq;
    }
    items
}

/// What the stream answers to a repair; in parts of `part` events.
fn read(log: &[Item], missing: Missing, part: usize, first_kept: u64) -> Repaired<Item> {
    let gap = (first_kept > missing.after + 1)
        .then(|| (missing.after + 1, missing.to.min(first_kept - 1)));
    let mut prev = missing.prev;
    let inside = log.iter().filter(|item| {
        item.seq > missing.after && item.seq <= missing.to && item.seq >= first_kept
    });
    let events: Vec<_> = inside
        .map(|item| {
            let found = Item {
                seq: item.seq,
                prev,
            };
            prev = item.seq;
            found
        })
        .take(part)
        .collect();
    let through = if events.len() == part {
        events[part - 1].seq
    } else {
        missing.to
    };
    Repaired {
        events,
        gap,
        through,
    }
}

fn delivered(out: &[Output<Item>]) -> Vec<u64> {
    let events = out.iter().filter_map(|output| match output {
        Output::Deliver(item) => Some(item.seq),
        Output::Gap { .. } => None,
    });
    events.collect()
}

#[derive(Debug, Clone, Copy)]
enum Fate {
    Arrive,
    Drop,
    Double,
    Late,
}

fn fates() -> impl Strategy<Value = Vec<(u64, Fate, bool)>> {
    let fate = prop_oneof![4 => Just(Fate::Arrive), 2 => Just(Fate::Drop), 1 => Just(Fate::Double), 1 => Just(Fate::Late)];
    proptest::collection::vec((1u64..4, fate, any::<bool>()), 1..120)
}

proptest! {
    /// Deliveries are dropped, doubled and reordered; repairs come when they come. A
    /// last probe makes the view complete.
    #[test]
    fn the_view_is_the_log(fates in fates(), mark in 0usize..4, part in 1usize..5) {
        let log = log(&fates.iter().map(|(step, ..)| *step).collect::<Vec<_>>());
        let mark = mark.min(log.len());
        let start = mark.checked_sub(1).map_or(0, |at| log[at].seq);
        let (mut feed, mut out, mut late) = (FeedState::new(start), Vec::new(), None);
        for (item, (_, fate, repair)) in log.iter().zip(&fates) {
            match fate {
                Fate::Arrive => feed.delivery(*item, &mut out),
                Fate::Drop => {}
                Fate::Double => {
                    feed.delivery(*item, &mut out);
                    feed.delivery(*item, &mut out);
                }
                Fate::Late => late = Some(*item),
            }
            if let (true, Some(item)) = (*repair, late.take()) {
                feed.delivery(item, &mut out);
            }
            if let (true, Some(missing)) = (*repair, feed.missing()) {
                feed.repaired(read(&log, missing, part, 0), &mut out);
            }
        }
        feed_to_the_end(&mut feed, &log, part, &mut out);
        let expected: Vec<_> = log.iter().map(|item| item.seq).filter(|seq| *seq > start).collect();
        prop_assert_eq!(delivered(&out), expected);
        prop_assert_eq!(out.len(), log.len() - mark, "no gaps");
    }

    /// With retention on its heels a subscriber either gets an event or a gap that
    /// covers it, and never an event twice or out of order.
    #[test]
    fn what_retention_takes_is_announced(fates in fates(), kept in 0u64..200) {
        let log = log(&fates.iter().map(|(step, ..)| *step).collect::<Vec<_>>());
        let (mut feed, mut out) = (FeedState::new(log[0].seq), Vec::new());
        for (item, (_, fate, _)) in log.iter().zip(&fates).skip(1) {
            if !matches!(fate, Fate::Drop) {
                let prev = if item.prev < kept { 0 } else { item.prev };
                feed.delivery(Item { prev, ..*item }, &mut out);
            }
            while let Some(missing) = feed.missing() {
                feed.repaired(read(&log, missing, 3, kept), &mut out);
            }
        }
        let last = log.last().unwrap().seq;
        feed.vouched(last, last);
        while let Some(missing) = feed.missing() {
            feed.repaired(read(&log, missing, 3, kept), &mut out);
        }
        let seen = delivered(&out);
        prop_assert!(seen.is_sorted_by(|a, b| a < b));
        let gaps: Vec<_> = out.iter().filter_map(|o| match o { Output::Gap { from, to } => Some(*from..=*to), Output::Deliver(_) => None }).collect();
        for item in &log[1..] {
            prop_assert!(seen.contains(&item.seq) || gaps.iter().any(|gap| gap.contains(&item.seq)), "{} is missing", item.seq);
        }
    }
}

fn feed_to_the_end(
    feed: &mut FeedState<Item>,
    log: &[Item],
    part: usize,
    out: &mut Vec<Output<Item>>,
) {
    let last = log.last().unwrap().seq;
    for _ in 0..3 * log.len() + 10 {
        match feed.missing() {
            Some(missing) => feed.repaired(read(log, missing, part, 0), out),
            None if feed.vouched(last, last) == Probed::Missed => {}
            None => return,
        }
    }
    panic!("the repair does not end: {feed:?}");
}

#[test]
fn the_last_of_a_burst_is_found_by_a_probe() {
    let log = log(&[1, 1, 1]);
    let (mut feed, mut out) = (FeedState::new(0), Vec::new());
    feed.delivery(log[0], &mut out);
    assert_eq!(
        (feed.probed(1, false, 1), feed.missing()),
        (Probed::Level, None)
    );
    assert_eq!(feed.probed(3, false, 1), Probed::Missed);
    feed.repaired(read(&log, feed.missing().unwrap(), 9, 0), &mut out);
    assert_eq!(delivered(&out), [1, 2, 3]);
}

#[test]
fn the_hold_within_and_beyond_its_limit() {
    let log = log(&vec![1; HELD_EVENTS_MAX + 3]);
    let (mut feed, mut out) = (FeedState::new(0), Vec::new());
    // The first is lost, so that all others are held; one more than there is room for.
    log[1..]
        .iter()
        .for_each(|item| feed.delivery(*item, &mut out));
    assert_eq!(feed.take_counts(), (1, 2));
    feed.repaired(read(&log, feed.missing().unwrap(), 9, 0), &mut out);
    assert_eq!(out.len(), HELD_EVENTS_MAX + 1);
    let next = Item {
        seq: log.len() as u64 + 1,
        prev: log.len() as u64,
    };
    feed.delivery(next, &mut out);
    assert_eq!(
        feed.missing().unwrap(),
        Missing {
            after: HELD_EVENTS_MAX as u64 + 1,
            to: next.prev,
            prev: HELD_EVENTS_MAX as u64 + 1,
            known: next.prev
        }
    );
}

#[test]
fn a_quiet_channel_is_not_reread_for_what_retention_took_after_delivery() {
    let (mut feed, mut out) = (FeedState::new(5), Vec::new());
    feed.vouched(5, 19);
    feed.delivery(Item { seq: 20, prev: 0 }, &mut out);
    assert_eq!((delivered(&out), feed.missing()), (vec![20], None));
    feed.delivery(Item { seq: 30, prev: 0 }, &mut out);
    assert!(feed.missing().is_some(), "what came between is not known");
}

#[test]
fn only_what_is_not_proved_to_be_quiet_can_be_lost() {
    let (mut feed, mut out) = (FeedState::new(5), Vec::new());
    feed.vouched(5, 19);
    feed.delivery(Item { seq: 30, prev: 0 }, &mut out);
    assert_eq!(
        feed.missing(),
        Some(Missing {
            after: 19,
            to: 29,
            prev: 5,
            known: 0
        })
    );
    // Whoever lags proves nothing.
    let mut feed = FeedState::<Item>::new(5);
    feed.probed(5, false, 1);
    feed.delivery(Item { seq: 30, prev: 0 }, &mut out);
    assert_eq!(feed.missing().map(|missing| missing.after), Some(5));
    // A proof that an event belies is none.
    let mut feed = FeedState::<Item>::new(5);
    feed.vouched(5, 19);
    feed.delivery(Item { seq: 30, prev: 12 }, &mut out);
    assert_eq!(feed.missing().map(|missing| missing.after), Some(5));
}

#[test]
fn a_stream_that_goes_on_ending_too_early_was_rolled_back() {
    let mut feed = FeedState::<Item>::new(10);
    assert_eq!(feed.probed(8, true, 3), Probed::Level);
    assert_eq!(feed.probed(8, true, 3), Probed::Level);
    assert_eq!(
        feed.probed(10, false, 3),
        Probed::Level,
        "it was a stale leader"
    );
    for _ in 0..2 {
        assert_eq!(feed.probed(0, true, 3), Probed::Level);
    }
    assert_eq!(feed.probed(0, true, 3), Probed::RolledBack);
}

#[test]
fn proof_is_wanted_once_half_of_what_is_kept_is_younger() {
    let mut feed = FeedState::<Item>::new(50);
    assert!(!feed.wants_proof(1, 100));
    assert!(feed.wants_proof(2, 101));
    feed.vouched(50, 101);
    assert!(!feed.wants_proof(2, 101));
}

#[test]
fn joining_takes_from_the_ring_or_goes_to_the_stream() {
    let log = log(&vec![1; 300]);
    let (mut feed, mut out) = (FeedState::new(0), Vec::new());
    log.iter().for_each(|item| feed.delivery(*item, &mut out));
    assert_eq!(feed.since(300), Some(Vec::new()));
    assert_eq!(feed.since(298).unwrap().len(), 2);
    assert_eq!(feed.since(44).unwrap().len(), 256);
    assert_eq!(feed.since(43), None);
}
