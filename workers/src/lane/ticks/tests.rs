//! What a schedule does next, and when the server is asked for its time.

use protocol::spec::Schedule;

use super::*;

fn schedule(times: &str, missed: &str) -> Schedule {
    let json =
        format!(r#"{{{times},"missed":"{missed}","tenant":"acme","channel":"reports.tick"}}"#);
    serde_json::from_str(&json).unwrap()
}

fn every_10s(missed: &str) -> Schedule {
    schedule(r#""every":"10s""#, missed)
}

/// Every step at this second, by the schedule alone.
fn taken(schedule: &Schedule, ticked: &mut Option<Ticked>, second: u64) -> Vec<Tick> {
    let steps = steps(schedule, ticked.as_ref(), second * SECOND_US + 999_999);
    let mut ticks = Vec::new();
    for step in steps {
        *ticked = Some(step.ticked);
        ticks.extend(step.tick);
    }
    ticks
}

fn tick(due: u64, n: u64, missed: u64) -> Tick {
    Tick { due, n, missed }
}

#[test]
fn a_schedule_begins_with_the_first_tick_after_it_was_seen() {
    let (schedule, mut ticked) = (every_10s("all"), None);
    assert_eq!(taken(&schedule, &mut ticked, 1_003), []);
    assert_eq!(taken(&schedule, &mut ticked, 1_009), []);
    assert_eq!(taken(&schedule, &mut ticked, 1_010), [tick(1_010, 1, 0)]);
    assert_eq!(taken(&schedule, &mut ticked, 1_010), []);
    assert_eq!(
        taken(&schedule, &mut ticked, 1_005),
        [],
        "the clock went back"
    );
    let late = [tick(1_020, 2, 0), tick(1_030, 3, 0)];
    assert_eq!(taken(&schedule, &mut ticked, 1_031), late);
}

#[test]
fn what_was_left_out_is_told_by_the_next_tick() {
    let (skip, mut ticked) = (every_10s("skip"), None);
    taken(&skip, &mut ticked, 1_000);
    assert_eq!(taken(&skip, &mut ticked, 2_001), []);
    assert_eq!(
        ticked.as_ref().map(|to| (to.until, to.n, to.missed)),
        Some((2_000, 0, 100))
    );
    assert_eq!(taken(&skip, &mut ticked, 2_010), [tick(2_010, 1, 100)]);
    assert_eq!(taken(&skip, &mut ticked, 2_020), [tick(2_020, 2, 0)]);
    let (latest, mut ticked) = (every_10s("latest"), None);
    taken(&latest, &mut ticked, 1_000);
    assert_eq!(taken(&latest, &mut ticked, 2_001), [tick(2_000, 1, 99)]);
}

#[test]
fn other_times_begin_where_they_are_seen_and_go_on_counting() {
    let (rare, mut ticked) = (schedule(r#""cron":"0 3 * * *""#, "all"), None);
    taken(&rare, &mut ticked, 0);
    assert_eq!(taken(&rare, &mut ticked, 10_800), [tick(10_800, 1, 0)]);
    let often = every_10s("all");
    assert_eq!(taken(&often, &mut ticked, 50_003), []);
    assert_eq!(taken(&often, &mut ticked, 50_010), [tick(50_010, 2, 0)]);
    // The clock went back meanwhile: what was made stays behind.
    let (mut ahead, more) = (ticked.clone(), schedule(r#""every":"5s""#, "all"));
    assert_eq!(taken(&more, &mut ahead, 40_000), []);
    assert_eq!(taken(&more, &mut ahead, 50_012), []);
    assert_eq!(taken(&more, &mut ahead, 50_015), [tick(50_015, 3, 0)]);
}

#[test]
fn the_server_is_asked_at_first_and_when_something_is_due() {
    let (schedule, mut clock) = (every_10s("all"), Clock::default());
    let mut ticked = None;
    taken(&schedule, &mut ticked, 1_003);
    assert_eq!(
        clock.ask_at(&schedule, ticked.as_ref()),
        Some(0),
        "no time is known"
    );
    let second = |second: u64| second * SECOND_US;
    clock.told(None, second(500));
    assert_eq!(
        clock.ask_at(&schedule, ticked.as_ref()),
        Some(second(500) + ASK_AGAIN_US)
    );
    // The worker's own clock is 503 s behind.
    clock.told(Some(second(1_003)), second(500));
    assert_eq!(clock.ask_at(&schedule, ticked.as_ref()), Some(second(507)));
    assert_eq!(clock.ask_at(&schedule, None), Some(0), "it is to begin");
    // And then ahead.
    clock.told(Some(second(1_003)), second(2_000));
    assert_eq!(
        clock.ask_at(&schedule, ticked.as_ref()),
        Some(second(2_007))
    );
}
