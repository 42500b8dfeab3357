//! Which ticks are made when: none twice and none left out, whatever the clocks say.

use proptest::prelude::*;

use super::*;

fn schedule(json: &str) -> Result<Schedule, String> {
    let json = format!(r#"{{"tenant":"acme","channel":"reports.tick",{json}}}"#);
    serde_json::from_str(&json).map_err(|error| error.to_string())
}

fn every(text: &str, missed: &str) -> Schedule {
    schedule(&format!(r#""every":"{text}","missed":"{missed}""#)).unwrap()
}

#[test]
fn what_is_written_is_read_again() {
    for json in [r#""every":"10s""#, r#""cron":"0 3 * * 1-5","missed":"all""#] {
        let read = schedule(json).unwrap();
        let again = serde_json::to_string(&read).unwrap();
        assert_eq!(serde_json::from_str::<Schedule>(&again).unwrap(), read);
    }
}

#[test]
fn intervals_within_and_beyond_their_limits() {
    for text in ["1s", "90s", "168h", "7d"] {
        assert_eq!(every(text, "latest").times(), text);
    }
    for (json, named) in [
        (r#""every":"0s""#, "1s to 7d"),
        (r#""every":"8d""#, "1s to 7d"),
        (r#""every":"99999999999999999999s""#, "every"),
        (r#""every":"10""#, "such as 10s"),
        (r#""every":"1.5s""#, "such as 10s"),
        (r#""every":"s""#, "such as 10s"),
        (r#""every":"é""#, "such as 10s"),
        (r#""cron":"61 * * * *""#, "cron: "),
        (r#""missed":"all""#, "either"),
        (r#""every":"1s","cron":"* * * * *""#, "either"),
        (r#""every":"1s","colour":1"#, "colour"),
    ] {
        let problem = schedule(json).unwrap_err();
        assert!(problem.contains(named), "{json}: {problem}");
    }
    let reserved = r#"{"tenant":"acme","channel":"_outcome.a","every":"1s"}"#;
    assert!(serde_json::from_str::<Schedule>(reserved).is_err());
}

#[test]
fn intervals_count_from_1970_on() {
    assert_eq!(
        every("10s", "skip").after(1_000_000_003),
        Some(1_000_000_010)
    );
    assert_eq!(
        every("10s", "skip").after(1_000_000_010),
        Some(1_000_000_020)
    );
}

#[test]
fn late_ticks_are_made_and_missed_ones_by_the_policy() {
    for missed in ["skip", "latest", "all"] {
        let late = every("10s", missed).due(100, 100 + LATE_S_MAX + 9);
        assert_eq!(late.make, [110, 120, 130, 140, 150, 160], "{missed}");
        assert_eq!((late.left_out, late.until), (0, Some(160)));
        let none = every("10s", missed).due(100, 109);
        assert_eq!(none, Due::default());
    }
    // The first was due at 110.
    let due = |missed: &str| every("10s", missed).due(100, 110 + LATE_S_MAX + 1);
    assert!(due("skip").make.is_empty());
    assert_eq!((due("skip").left_out, due("skip").until), (7, Some(170)));
    assert_eq!((due("latest").make, due("latest").left_out), (vec![170], 6));
    assert_eq!(due("all").make, [110, 120, 130, 140, 150, 160, 170]);
}

#[test]
fn what_is_made_up_for_is_bounded() {
    let most = every("1m", "all").due(0, MADE_UP_MAX as u64 * 60);
    assert_eq!((most.make.len(), most.left_out), (MADE_UP_MAX, 0));
    let more = every("1m", "all").due(0, (MADE_UP_MAX as u64 + 5) * 60);
    assert_eq!((more.make.len(), more.left_out), (MADE_UP_MAX, 5));
    assert_eq!(more.make[0], 6 * 60);
    // A month of seconds is counted, and not the years before it.
    let years = every("1s", "latest").due(0, 10 * 365 * 86_400);
    assert_eq!((years.make.len(), years.left_out), (1, MISSED_S_MAX - 1));
}

fn any_schedule() -> impl Strategy<Value = Schedule> {
    let times = prop_oneof![
        (1_u64..600).prop_map(|s| format!(r#""every":"{s}s""#)),
        Just(r#""cron":"*/7 * * * *""#.to_owned()),
        Just(r#""cron":"0,13 0-5,9 * * 1""#.to_owned()),
    ];
    let missed = prop_oneof![Just("skip"), Just("latest"), Just("all")];
    (times, missed)
        .prop_map(|(times, missed)| schedule(&format!(r#"{times},"missed":"{missed}""#)).unwrap())
}

proptest! {
    /// Whatever clock asks, forward or back: each tick is made or left out once, in order,
    /// none of them early, and those that are left out are counted.
    #[test]
    fn no_tick_is_made_twice_and_none_is_left_out_untold(
        schedule in any_schedule(), steps in prop::collection::vec(-5_000_i64..20_000, 1..20)
    ) {
        let start = 1_000_000_000_u64;
        let (mut last, mut clock) = (start, start);
        let (mut made, mut left_out) = (Vec::new(), 0);
        for step in steps {
            clock = clock.saturating_add_signed(step);
            let due = schedule.due(last, clock);
            prop_assert!(due.make.len() <= MADE_UP_MAX);
            prop_assert!(due.make.iter().chain(&due.until).all(|at| *at <= clock && *at > last));
            prop_assert!(due.make.last().is_none_or(|at| Some(*at) == due.until));
            made.extend(due.make);
            left_out += due.left_out;
            last = due.until.unwrap_or(last);
            prop_assert!(schedule.after(last).is_none_or(|next| next > clock));
        }
        prop_assert!(made.windows(2).all(|two| two[0] < two[1]));
        let all = std::iter::successors(schedule.after(start), |at| schedule.after(*at));
        let all: Vec<u64> = all.take_while(|at| *at <= last).collect();
        prop_assert_eq!(all.len() as u64, made.len() as u64 + left_out);
        prop_assert!(made.iter().all(|at| all.binary_search(at).is_ok()));
    }
}
