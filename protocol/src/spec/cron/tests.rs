//! Times by the calendar, against dates that are known, and against a search minute by
//! minute.

use proptest::prelude::*;

use super::*;

/// 2026-01-01T00:00:00Z, a Thursday.
const NEW_YEAR: u64 = 1_767_225_600;

fn after(text: &str, time: u64) -> u64 {
    Cron::parse(text).unwrap().after(time).unwrap()
}

fn at(days: u64, hour: u64, minute: u64) -> u64 {
    NEW_YEAR + days * DAY_S + hour * 3_600 + minute * 60
}

#[test]
fn known_times() {
    assert_eq!(after("* * * * *", NEW_YEAR), at(0, 0, 1));
    assert_eq!(after("* * * * *", NEW_YEAR - 1), NEW_YEAR);
    assert_eq!(after("0 3 * * *", NEW_YEAR), at(0, 3, 0));
    assert_eq!(after("0 3 * * *", at(0, 3, 0)), at(1, 3, 0));
    assert_eq!(after("*/15 9-17 * * *", at(0, 17, 45)), at(1, 9, 0));
    assert_eq!(after("5/20 * * * *", at(0, 0, 5)), at(0, 0, 25));
    // Monday is the fifth, the last of January the 31st, February has 28 days.
    assert_eq!(after("30 8 * * 1", NEW_YEAR), at(4, 8, 30));
    assert_eq!(after("0 0 31 * *", at(30, 0, 0)), at(31 + 28 + 30, 0, 0));
    assert_eq!(after("0 0 * * 0", NEW_YEAR), after("0 0 * * 7", NEW_YEAR));
    // Either day counts where both are named.
    assert_eq!(after("0 0 3 * 5", NEW_YEAR), at(1, 0, 0));
    assert_eq!(after("0 0 3 * 5", at(1, 0, 0)), at(2, 0, 0));
    // 2028-02-29 is the 789th day from there.
    assert_eq!(after("0 0 29 2 *", NEW_YEAR), at(789, 0, 0));
}

#[test]
fn the_rarest_day_is_found_over_a_century_without_one() {
    // From 2096-02-29 on the next is 2104-02-29, eight years later.
    let first = after("0 0 29 2 *", 3_981_000_000);
    let next = after("0 0 29 2 *", first);
    assert_eq!((next - first) / DAY_S, 8 * 365 + 1);
}

#[test]
fn what_is_wrong_is_named() {
    for (text, named) in [
        ("* * * *", "4 fields"),
        ("60 * * * *", "minute"),
        ("* 24 * * *", "hour"),
        ("* * 0 * *", "day of the month"),
        ("* * * 13 *", "month"),
        ("* * * * 8", "day of the week"),
        ("*/0 * * * *", "minute"),
        ("5-1 * * * *", "minute"),
        ("+1 * * * *", "minute"),
        ("1,,2 * * * *", "minute"),
        ("* * * jan *", "month"),
        ("0 0 31 2 *", "never comes"),
    ] {
        let problem = Cron::parse(text).unwrap_err();
        assert!(problem.contains(named), "{text}: {problem}");
    }
    let long = format!("{} * * * *", vec!["1"; CRON_BYTES_MAX].join(","));
    assert!(Cron::parse(&long).is_err());
    assert_eq!(
        Cron::parse(" 0  3 * *\t* ").unwrap().as_str(),
        "0 3 * * *",
        "the same expression is the same text"
    );
}

fn any_field(max: u32, min: u32) -> impl Strategy<Value = String> {
    prop_oneof![
        3 => Just("*".to_owned()),
        1 => (2_u32..30).prop_map(|step| format!("*/{step}")),
        2 => (min..=max).prop_map(|number| number.to_string()),
        1 => (min..=max, min..=max).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b))),
    ]
}

proptest! {
    /// The next time is a time, and there is none between: minute by minute.
    #[test]
    fn no_time_is_passed_over(
        minute in any_field(59, 0), hour in any_field(23, 0), days in any_field(28, 1),
        week in any_field(7, 0), from in 0_u64..4_000_000_000
    ) {
        let cron = Cron::parse(&format!("{minute} {hour} {days} * {week}")).unwrap();
        let is_time = |time: u64| {
            let day = time / DAY_S;
            cron.has_day(day) && cron.has(1, time % DAY_S / 3_600) && cron.has(0, time % 3_600 / 60)
        };
        let next = cron.after(from).unwrap();
        prop_assert!(next > from && next.is_multiple_of(60) && is_time(next));
        let between = (from / 60 + 1..next / 60).take(100_000);
        prop_assert!(between.into_iter().all(|minute| !is_time(minute * 60)));
    }

    /// Days follow one another as months have them.
    #[test]
    fn days_are_those_of_the_calendar(day in 0_u64..200_000) {
        let (month, of_month) = month_and_day(day);
        let next = month_and_day(day + 1);
        let follows = next == (month, of_month + 1) || (next == (month % 12 + 1, 1) && of_month >= 28);
        prop_assert!(follows && of_month <= 31, "{month}-{of_month}, then {next:?}");
    }
}
