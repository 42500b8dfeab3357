//! The relay against its promises: every event once and in order, gaps named,
//! commits when they are due.

use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use protocol::bus::Stored;
use protocol::header::Headers;
use protocol::record::{MirrorGap, MirrorGapReason};
use tokio::time::Instant;

use super::*;

const INTERVAL: Duration = Duration::from_millis(100);

fn stored(seq: u64, bytes: usize) -> Stored {
    Stored {
        seq,
        time_us: seq * 10,
        subject: "ev.main.0.acme.doc.1".into(),
        headers: Headers::new(),
        payload: Bytes::from(vec![0; bytes]),
    }
}

fn run(seqs: std::ops::RangeInclusive<u64>) -> Vec<Stored> {
    seqs.map(|seq| stored(seq, 1)).collect()
}

fn seqs(actions: &[Action]) -> Vec<u64> {
    let produced = actions.iter().filter_map(|action| {
        if let Action::Produce(events) = action {
            Some(events)
        } else {
            None
        }
    });
    produced.flatten().map(|event| event.seq).collect()
}

fn commit(actions: &[Action]) -> Option<&CommitPoint> {
    actions.iter().find_map(|action| {
        if let Action::Commit(point) = action {
            Some(point)
        } else {
            None
        }
    })
}

#[test]
fn the_first_event_after_a_pause_is_committed_at_once() {
    let start = Instant::now();
    let mut relay = Relay::new(0, INTERVAL);
    let actions = relay.events(run(1..=1), 1, true, start);
    assert_eq!(
        commit(&actions).unwrap(),
        &CommitPoint {
            seq: 1,
            time_us: Some(10),
            gaps: vec![]
        }
    );
    assert_eq!(relay.committed(start), []);
    let later = start + INTERVAL;
    assert!(commit(&relay.events(run(2..=2), 1, true, later)).is_some());
}

#[test]
fn while_it_keeps_up_commits_come_an_interval_apart() {
    let start = Instant::now();
    let mut relay = Relay::new(0, INTERVAL);
    relay.events(run(1..=1), 1, true, start);
    relay.committed(start);
    let soon = start + Duration::from_millis(10);
    assert!(commit(&relay.events(run(2..=2), 1, true, soon)).is_none());
    assert_eq!(relay.deadline(), Some(start + INTERVAL));
    assert_eq!(relay.tick(start + INTERVAL - Duration::from_millis(1)), []);
    assert_eq!(commit(&relay.tick(start + INTERVAL)).unwrap().seq, 2);
}

#[test]
fn while_it_lags_transactions_grow_to_each_limit() {
    let start = Instant::now();
    let mut relay = Relay::new(0, INTERVAL);
    let most = TRANSACTION_EVENTS_MAX as u64;
    assert!(commit(&relay.events(run(1..=most - 1), 1, false, start)).is_none());
    assert!(commit(&relay.events(run(most..=most), 1, false, start)).is_some());

    let mut relay = Relay::new(0, INTERVAL);
    assert!(
        commit(&relay.events(vec![stored(1, TRANSACTION_BYTES_MAX - 1)], 1, false, start))
            .is_none()
    );
    assert!(commit(&relay.events(vec![stored(2, 1)], 1, false, start)).is_some());

    let mut relay = Relay::new(0, INTERVAL);
    assert!(commit(&relay.events(run(1..=1), 1, false, start)).is_none());
    assert_eq!(
        relay.tick(start + LAGGING_INTERVAL - Duration::from_millis(1)),
        []
    );
    assert!(commit(&relay.tick(start + LAGGING_INTERVAL)).is_some());
}

#[test]
fn events_wait_while_a_commit_is_under_way_and_the_wait_is_bounded() {
    let start = Instant::now();
    let mut relay = Relay::new(0, INTERVAL);
    assert!(commit(&relay.events(run(1..=1), 1, true, start)).is_some());
    let most = TRANSACTION_EVENTS_MAX as u64;
    assert_eq!(relay.events(run(2..=most), 1, false, start), []);
    assert!(relay.wants_events());
    assert_eq!(relay.events(run(most + 1..=most + 1), 1, false, start), []);
    assert!(!relay.wants_events());
    assert_eq!(relay.deadline(), None);
    let actions = relay.committed(start);
    assert_eq!(seqs(&actions), (2..=most + 1).collect::<Vec<_>>());
    assert_eq!(commit(&actions).unwrap().seq, most + 1);
}

#[test]
fn what_is_open_can_be_committed_before_something_slow() {
    let start = Instant::now();
    let mut relay = Relay::new(0, INTERVAL);
    assert_eq!(relay.flush(), None);
    assert!(commit(&relay.events(run(1..=5), 1, false, start)).is_none());
    assert!(!relay.is_idle());
    let action = relay.flush().unwrap();
    assert_eq!(commit(&[action]).unwrap().seq, 5);
    assert_eq!(relay.flush(), None, "it is being committed already");
    assert!(!relay.is_idle());
    assert_eq!(relay.committed(start), []);
    assert!(relay.is_idle());
}

#[test]
fn what_is_missing_is_named() {
    let start = Instant::now();
    let mut relay = Relay::new(4, INTERVAL);
    let events = vec![stored(10, 1), stored(13, 1)];
    assert!(relay.jumps(&events));
    let actions = relay.events(events, 8, true, start);
    let gap = |from, to, reason| MirrorGap {
        from,
        to,
        reason,
        topic: None,
    };
    let expected = [
        gap(5, 7, MirrorGapReason::Retention),
        gap(8, 9, MirrorGapReason::Hole),
        gap(11, 12, MirrorGapReason::Hole),
    ];
    assert_eq!(commit(&actions).unwrap().gaps, expected);
    relay.committed(start);
    assert!(!relay.jumps(&[stored(14, 1)]));
}

#[test]
fn a_stream_that_has_lost_everything_moves_the_mirror_on() {
    let start = Instant::now();
    let mut relay = Relay::new(4, INTERVAL);
    assert_eq!(relay.begins_at(5, start), []);
    let actions = relay.begins_at(9, start);
    let expected = CommitPoint {
        seq: 8,
        time_us: None,
        gaps: vec![MirrorGap {
            from: 5,
            to: 8,
            reason: MirrorGapReason::Retention,
            topic: None,
        }],
    };
    assert_eq!(commit(&actions).unwrap(), &expected);
    relay.committed(start);
    assert!(!relay.jumps(&[stored(9, 1)]));
}

#[derive(Debug, Clone)]
enum Step {
    Events(u64, bool),
    Skip(u64),
    Committed,
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1u64..4_000, any::<bool>()).prop_map(|(count, caught_up)| Step::Events(count, caught_up)),
        1 => (1u64..50).prop_map(Step::Skip),
        3 => Just(Step::Committed),
        2 => (0u64..300).prop_map(Step::Wait),
    ]
}

proptest! {
    /// Whatever the order of things: each event is produced once and in order, each
    /// commit covers exactly what was produced before it, and what is missing is
    /// told once.
    #[test]
    fn every_event_once_in_order(steps in proptest::collection::vec(step(), 1..60)) {
        let mut now = Instant::now();
        let mut relay = Relay::new(0, INTERVAL);
        let (mut next, mut committing, mut covered) = (1u64, false, 0u64);
        let (mut produced, mut sent, mut gone) = (Vec::new(), Vec::new(), Vec::new());
        for step in steps {
            let actions = match step {
                Step::Skip(count) => {
                    gone.extend(next..next + count);
                    next += count;
                    continue;
                }
                Step::Events(count, caught_up) if relay.wants_events() => {
                    let events = run(next..=next + count - 1);
                    sent.extend(next..next + count);
                    next += count;
                    relay.events(events, 0, caught_up, now)
                }
                Step::Committed if committing => {
                    committing = false;
                    relay.committed(now)
                }
                Step::Wait(ms) => {
                    now += Duration::from_millis(ms);
                    relay.tick(now)
                }
                Step::Events(..) | Step::Committed => continue,
            };
            for action in actions {
                prop_assert!(!committing, "nothing is asked for during a commit");
                match action {
                    Action::Produce(events) => produced.extend(events.iter().map(|event| event.seq)),
                    Action::Commit(point) => {
                        committing = true;
                        prop_assert_eq!(Some(&point.seq), produced.last());
                        prop_assert!(point.seq > covered);
                        covered = point.seq;
                        for gap in point.gaps {
                            let told: Vec<_> = (gap.from..=gap.to).collect();
                            prop_assert_eq!(&gone[..told.len()], &told[..]);
                            gone.drain(..told.len());
                        }
                    }
                }
            }
        }
        prop_assert_eq!(&sent[..produced.len()], &produced[..]);
    }
}
