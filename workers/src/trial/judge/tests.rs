//! Each rule obeyed and violated.

use protocol::checkpoint::Digest;
use protocol::name::{FunctionName, StoreName};
use protocol::spec::{FunctionSpec, LONGEST_TIMES, Trigger, Written};

use super::*;

/// A second in microseconds.
const SECOND: u64 = 1_000_000;
/// How long a trial is, seconds.
const FOR_S: u64 = 60;

fn canary(events_min: u64) -> Canary {
    let name = FunctionName::parse("gate").unwrap();
    let store = StoreName::parse("main").unwrap();
    let deployed = Written {
        by: "ann".into(),
        at_us: 0,
    };
    let candidate = FunctionSpec {
        version: 3,
        deployed: Some(deployed),
        ..FunctionSpec::new(name, Digest::from_bytes([1; 32]), store, Trigger::Gate)
    };
    Canary {
        permille: 50,
        candidate: Box::new(candidate),
        events_min,
        for_ms: FOR_S * 1_000,
    }
}

fn work(ack: u64, reject: u64) -> Work {
    Work {
        ack,
        reject,
        ..Work::default()
    }
}

/// How a trial on 500 events stands after so many seconds.
#[track_caller]
fn stands(candidate: Work, other: Work, seconds: u64) -> Option<(Verdict, String)> {
    let figures = Figures {
        failed: None,
        candidate,
        other,
    };
    judge(&canary(500), 2, &figures, seconds * SECOND)
}

#[track_caller]
fn is_back(outcome: Option<(Verdict, String)>, says: &str) {
    let (verdict, reason) = outcome.expect("the trial is over");
    assert_eq!(verdict, Verdict::RolledBack, "{reason}");
    assert!(reason.contains(says), "{reason}");
}

#[test]
fn what_has_failed_goes_back_at_once() {
    let figures = Figures {
        failed: Some("on worker-1: it does not start: no setting".into()),
        ..Figures::default()
    };
    is_back(judge(&canary(500), 2, &figures, 0), "it does not start");
}

#[test]
fn a_candidate_that_is_no_worse_is_promoted_when_it_has_its_events_and_its_time() {
    let good = work(495, 5);
    let outcome = stands(good.clone(), work(9_900, 100), FOR_S);
    let (verdict, reason) = outcome.unwrap();
    assert_eq!(verdict, Verdict::Promoted);
    assert!(
        reason.starts_with("500 events in 60 s: it rejects 1.0 %, version 2 1.0 %"),
        "{reason}"
    );
    assert_eq!(stands(good.clone(), work(9_900, 100), FOR_S - 1), None);
    assert_eq!(stands(work(494, 5), work(9_900, 100), FOR_S), None);
    // With nothing to compare it with it is not better.
    assert_eq!(stands(good, work(COMPARED_EVENTS_MIN - 1, 0), FOR_S), None);
}

#[test]
fn rejects_within_and_beyond_the_margin() {
    let other = work(9_900, 100);
    // 2 % are allowed, and for chance 4 times 0.63 %: 4.5 %, which are 22 of 500.
    assert!(stands(work(478, 22), other.clone(), 1).is_none());
    is_back(
        stands(work(477, 23), other.clone(), 1),
        "it rejects 23 of 500 events, 4.6 %; version 2 1.0 %",
    );
    // What was given up counts too.
    let given_up = Work {
        dead_letter: 23,
        ..work(500, 0)
    };
    is_back(stands(given_up, other.clone(), 1), "it rejects 23");
    // Few events say little.
    assert!(stands(work(0, COMPARED_EVENTS_MIN - 1), other.clone(), 1).is_none());
    is_back(stands(work(0, COMPARED_EVENTS_MIN), other, 1), "100.0 %");
    // What everybody rejects, nobody is to blame for.
    assert!(stands(work(0, 400), work(0, 400), 1).is_none());
}

#[test]
fn a_trial_on_few_events_is_judged_on_those() {
    let figures = |candidate, other| Figures {
        failed: None,
        candidate,
        other,
    };
    let end = FOR_S * SECOND;
    let back = judge(&canary(10), 2, &figures(work(0, 10), work(10, 0)), 0);
    is_back(back, "10 of 10");
    let good = judge(&canary(10), 2, &figures(work(10, 0), work(10, 0)), end);
    assert_eq!(good.unwrap().0, Verdict::Promoted);
}

#[test]
fn what_repeats_events_for_ever_goes_back() {
    let repeats = |retry| Work {
        retry,
        ..work(470, 0)
    };
    assert!(stands(repeats(10), work(10_000, 0), 1).is_none());
    is_back(
        stands(repeats(40), work(10_000, 0), 1),
        "it repeats 40 of 510",
    );
}

#[test]
fn guest_time_within_and_beyond_the_factor() {
    let takes = |us: u64, events: u64| Work {
        cpu_us: us * events,
        ..work(events, 0)
    };
    let other = takes(300, 10_000);
    assert!(stands(takes(600, 400), other.clone(), 1).is_none());
    is_back(
        stands(takes(601, 400), other.clone(), 1),
        "601 µs of guest time",
    );
    assert!(stands(takes(900, TIMED_EVENTS_MIN - 1), other, 1).is_none());
    // Twice of very little is still very little.
    assert!(stands(takes(90, 400), takes(3, 10_000), 1).is_none());
    is_back(stands(takes(104, 400), takes(3, 10_000), 1), "104 µs");
}

#[test]
fn a_trial_without_enough_events_ends_all_the_same() {
    let end = FOR_S * LONGEST_TIMES;
    assert!(stands(work(499, 0), work(10_000, 0), end - 1).is_none());
    is_back(
        stands(work(499, 0), work(10_000, 0), end),
        "after 10 min it has handled 499 events of the 500",
    );
    is_back(
        stands(work(500, 0), work(3, 0), end),
        "version 2 has handled 3 events of the 50",
    );
}

#[test]
fn times_are_told_as_people_do() {
    let told = |ms: u64| span(&canary(1), ms * 1_000);
    let times = [700, 1_700, 119_000, 600_000, 7_200_000].map(told);
    assert_eq!(times, ["700 ms", "1 s", "119 s", "10 min", "2 h"]);
}
