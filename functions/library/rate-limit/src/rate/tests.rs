//! How many events pass in which time.

use proptest::prelude::*;

use super::*;

fn rate(text: &str) -> Rate {
    text.parse().unwrap()
}

/// Takes at each of these times; says which were let pass.
fn passed(rate: &Rate, times: &[u64]) -> Vec<u64> {
    let mut full = None;
    let take = |now: &&u64| match rate.take(full, **now) {
        Ok(then) => {
            full = Some(then);
            true
        }
        Err(_) => false,
    };
    times.iter().filter(take).copied().collect()
}

#[test]
fn a_full_bucket_is_taken_at_once_and_fills_evenly() {
    let rate = rate("3/3s");
    let second = 1_000_000;
    let times = [0, 0, 0, 1, second - 1, second, second + 1, 2 * second];
    assert_eq!(passed(&rate, &times), [0, 0, 0, second, 2 * second]);
    let full = rate.take(None, 7).unwrap();
    assert_eq!(full, 7 + second);
    let empty = 7 + 3 * second;
    assert_eq!(rate.take(Some(empty), 7), Err(Duration::from_secs(1)));
}

#[test]
fn no_bucket_is_more_than_empty() {
    let rate = rate("2/2s");
    // Full in an hour: the clock was set back. It fills within two seconds all the same.
    assert_eq!(
        rate.take(Some(3_600_000_000), 0),
        Err(Duration::from_secs(1))
    );
}

#[test]
fn rates_are_read_and_told() {
    assert_eq!(rate(" 5 / 1m 30s ").to_string(), "5 events in 1m 30s");
    assert_eq!(rate("1000000/1s").token_us, 1);
    for text in [
        "5",
        "0/1s",
        "-1/1s",
        "5/",
        "5/0s",
        "1000001/1s",
        "5/800days",
        "a/1s",
    ] {
        let error = text.parse::<Rate>().unwrap_err();
        assert!(error.starts_with(&format!("{text:?}")), "{error}");
    }
}

proptest! {
    /// In no period more than the bucket holds and what comes into it meanwhile.
    #[test]
    fn never_more_than_twice_the_events_in_a_period(
        events in 1..20_u64,
        steps in proptest::collection::vec(0..400_000_u64, 1..200),
    ) {
        let rate = rate(&format!("{events}/1s"));
        let mut now = 0;
        let times: Vec<u64> = steps.iter().map(|step| { now += step; now }).collect();
        let passed = passed(&rate, &times);
        for (at, first) in passed.iter().enumerate() {
            let within = passed[at..].iter().filter(|time| **time < first + 1_000_000);
            prop_assert!(within.count() as u64 <= 2 * events);
        }
        // And never fewer than come in at an even pace.
        let (first, last) = (times[0], times[times.len() - 1]);
        let pace = (last - first) / rate.token_us;
        prop_assert!(passed.len() as u64 >= pace.min(events).min(times.len() as u64));
    }

    #[test]
    fn whoever_waits_as_long_as_told_is_let_pass(events in 1..9_u64, now in 0..9_000_000_u64, full in 0..20_000_000_u64) {
        let rate = rate(&format!("{events}/1s"));
        if let Err(wait) = rate.take(Some(full), now) {
            let then = now + u64::try_from(wait.as_micros()).unwrap();
            let full = full.clamp(now, now + events * rate.token_us);
            prop_assert!(rate.take(Some(full), then).is_ok());
            prop_assert!(rate.take(Some(full), then - 1).is_err());
        }
    }
}
