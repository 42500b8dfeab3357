//! Valid histories are clean, whatever the order in which their records were collected.
//!
//! State: none. Must not know: single violations.

use proptest::prelude::*;

use super::generator::{Knobs, history};
use crate::{History, Recorder, Sent};

fn knobs() -> impl Strategy<Value = Knobs> {
    (
        any::<u64>(),
        0_u64..300,
        prop_oneof![Just(0_u64), 1_u64..90],
        0_u64..5,
    )
        .prop_map(|(seed, steps, removed, subscribers)| Knobs {
            seed,
            steps,
            removed,
            subscribers,
        })
}

proptest! {
    #[test]
    fn valid_histories_are_clean(knobs in knobs()) {
        let report = history(&knobs).check();
        prop_assert!(report.is_clean(), "{report}");
    }

    #[test]
    fn the_order_of_collection_does_not_matter_where_it_means_nothing(knobs in knobs()) {
        let mut history = history(&knobs);
        history.stored.reverse();
        history.acked.reverse();
        history.mirrored.reverse();
        history.subscriptions.reverse();
        let report = history.check();
        prop_assert!(report.is_clean(), "{report}");
    }

    #[test]
    fn lines_hold_the_whole_history(knobs in knobs()) {
        let history = history(&knobs);
        prop_assert_eq!(History::from_lines(&history.to_lines()).unwrap(), history);
    }
}

#[test]
fn a_valid_history_compares_something() {
    let knobs = Knobs {
        seed: 1,
        steps: 300,
        removed: 0,
        subscribers: 3,
    };
    let report = history(&knobs).check();
    assert!(report.is_clean(), "{report}");
    let counts = &report.counts;
    assert!(counts.acked > 100 && counts.duplicates > 10 && counts.refused > 10);
    assert!(counts.deliveries_owed > 100 && counts.inputs_judged > 50 && counts.mirror_owed > 100);
}

#[test]
fn an_empty_history_is_clean() {
    assert!(History::default().check().is_clean());
}

#[test]
fn a_bad_line_is_named() {
    let error = History::from_lines("\n{\"Sent\":1}\n").unwrap_err();
    assert_eq!(error.to_string(), "line 2 is no record (permanent)");
}

#[test]
fn tasks_feed_one_history() {
    let recorder = Recorder::new();
    let sent = |n| Sent {
        publisher: "acme/ann/tab".into(),
        n,
        channel: "acme/chat.room".into(),
        body: n,
        first_us: 0,
    };
    std::thread::scope(|scope| {
        for task in 0..4 {
            let recorder = recorder.clone();
            scope.spawn(move || recorder.extend((0..100).map(|n| sent(task * 100 + n))));
        }
    });
    assert_eq!(recorder.with(|history| history.sent.len()), 400);
    assert!(recorder.check().is_clean());
}
