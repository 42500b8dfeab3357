//! Which write stays, what is stored, and who is told what.

use proptest::prelude::*;
use sdk::testing::{Input, Runner, record};

use super::*;

fn gate(config: &[(&str, &str)]) -> Runner<LastWriter> {
    Runner::new(config).unwrap()
}

fn write(ms: u64, user: &str, data: &str) -> Input {
    Input {
        time_us: ms * 1_000,
        publisher: user.into(),
        headers: vec![("colour".into(), "red".into())],
        ..Input::json("cards.7", data)
    }
}

/// What is stored, or why nothing is.
fn run(gate: &Runner<LastWriter>, ms: u64, user: &str, data: &str) -> Result<String, String> {
    match gate.run_one(write(ms, user, data)) {
        (Outcome::Ack, outputs) => {
            assert_eq!(
                outputs[0].headers,
                [("colour".to_owned(), "red".to_owned())]
            );
            Ok(String::from_utf8(outputs[0].data.clone()).unwrap())
        }
        (Outcome::Drop { reason }, _) => Err(format!("drop: {reason}")),
        (Outcome::Reject { reason }, _) => Err(format!("reject: {reason}")),
        (other, _) => panic!("{other:?}"),
    }
}

fn stored(text: &str) -> Result<String, String> {
    Ok(text.to_owned())
}

#[test]
fn by_time_the_fields_of_all_writers_come_together() {
    let gate = gate(&[]);
    assert_eq!(
        run(&gate, 1, "ann", r#"{"b":1.50}"#),
        stored(r#"{"b":1.50}"#)
    );
    assert_eq!(
        run(&gate, 2, "bob", r#"{"a":[1]}"#),
        stored(r#"{"a":[1],"b":1.50}"#)
    );
    assert_eq!(
        run(&gate, 3, "ann", r#"{"a":null}"#),
        stored(r#"{"b":1.50}"#)
    );
    // The store's clock was set back; at one time, the greater name is the later.
    let stale = Err("drop: stale: the field \"b\" has the version 1000 of ann".to_owned());
    assert_eq!(run(&gate, 0, "eve", r#"{"b":2}"#), stale);
    assert_eq!(run(&gate, 1, "ann", r#"{"b":2}"#), stale);
    assert_eq!(run(&gate, 1, "bob", r#"{"b":2}"#), stored(r#"{"b":2}"#));
    let other = Input {
        channel: "cards.8".into(),
        ..write(4, "ann", r#"{"c":1}"#)
    };
    assert_eq!(gate.run_one(other).1[0].data, br#"{"c":1}"#);
}

#[test]
fn by_a_version_the_later_stays_in_whatever_order_they_come() {
    let gate = gate(&[("version", "v"), ("stale", "reject")]);
    let first = run(&gate, 1, "ann", r#"{"v":7,"a":7,"b":7}"#);
    assert_eq!(first, stored(r#"{"v":7,"a":7,"b":7}"#));
    let partly = run(&gate, 2, "bob", r#"{"a":5,"c":5,"v":5.0}"#);
    assert_eq!(partly, stored(r#"{"v":7,"a":7,"b":7,"c":5}"#));
    record(|host| assert_eq!(host.counters["stale"], 1));
    let stale = "reject: stale: the field \"a\" has the version 7 of ann";
    assert_eq!(run(&gate, 3, "bob", r#"{"v":6,"a":6}"#), Err(stale.into()));
    assert_eq!(run(&gate, 3, "ann", r#"{"v":7,"a":6}"#), Err(stale.into()));
    let later = run(&gate, 3, "bob", r#"{"v":1e2,"a":null}"#);
    assert_eq!(later, stored(r#"{"v":100,"b":7,"c":5}"#));
}

#[test]
fn the_whole_object_may_be_resolved() {
    let gate = gate(&[("version", "v"), ("resolve", "whole")]);
    assert_eq!(
        run(&gate, 1, "ann", r#"{"v":2,"a":1}"#),
        stored(r#"{"v":2,"a":1}"#)
    );
    assert_eq!(
        run(&gate, 1, "ann", r#"{"v":3,"b":1}"#),
        stored(r#"{"v":3,"b":1}"#)
    );
    let stale = "drop: stale: the object has the version 3 of ann";
    assert_eq!(
        run(&gate, 1, "ann", r#"{"v":2,"b":1,"c":1}"#),
        Err(stale.into())
    );
    assert_eq!(run(&gate, 1, "ann", r#"{"v":4}"#), stored(r#"{"v":4}"#));
}

#[test]
fn what_is_no_write_is_rejected() {
    let gate = gate(&[("version", "v")]);
    let digits = "1".repeat(VERSION_CHARACTERS_MAX);
    let largest = format!(r#"{{"v":{digits},"b":1}}"#);
    assert!(run(&gate, 1, "ann", &largest).is_ok());
    for (data, reason) in [
        ("{", "not json: "),
        ("[]", "must be an object"),
        (r#"{"a":1}"#, "it has no member \"v\""),
        (
            r#"{"v":"1","a":1}"#,
            "its member \"v\" is no number of at most 40 digits",
        ),
        (
            &format!(r#"{{"v":{digits}1,"a":1}}"#),
            "its member \"v\" is no number of at most",
        ),
        (r#"{"v":1}"#, "it writes no field"),
    ] {
        let told = run(&gate, 1, "ann", data).unwrap_err();
        assert!(told.starts_with(&format!("reject: {reason}")), "{told}");
    }
}

#[test]
fn an_object_within_and_beyond_its_limits() {
    let fields = |range: std::ops::Range<usize>| {
        let fields: Vec<_> = range.map(|n| format!(r#""f{n}":{n}"#)).collect();
        format!("{{{}}}", fields.join(","))
    };
    let over = "reject: the object would have over 1000 fields or 65536 bytes";
    let gate_of_many = gate(&[]);
    assert!(run(&gate_of_many, 1, "ann", &fields(0..FIELDS_MAX)).is_ok());
    assert_eq!(
        run(&gate_of_many, 2, "ann", r#"{"more":1}"#),
        Err(over.into())
    );
    let changed = run(&gate_of_many, 3, "ann", r#"{"f0":null}"#).unwrap();
    assert!(!changed.contains("more") && !changed.contains("f0\""));

    let large = gate(&[]);
    let of = |bytes: usize| format!(r#"{{"a":"{}"}}"#, "x".repeat(bytes));
    // What is remembered besides: names, brackets, the version and the user.
    let rest = r#"{"fields":{"a":[1000,"ann",""]}}"#.len();
    assert!(run(&large, 1, "ann", &of(OBJECT_BYTES_MAX - rest)).is_ok());
    assert_eq!(
        run(&large, 2, "ann", &of(OBJECT_BYTES_MAX - rest + 1)),
        Err(over.into())
    );
}

#[test]
fn settings_that_are_wrong_are_named() {
    for (key, value) in [
        ("resolve", "all"),
        ("version", ""),
        ("stale", "pass"),
        ("by", "time"),
    ] {
        let error = Runner::<LastWriter>::new(&[(key, value)]).err().unwrap();
        let wanted = format!("configuration key {key}: ");
        assert!(error.starts_with(&wanted), "{error}");
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_have_an_outcome(data in proptest::collection::vec(any::<u8>(), 0..200)) {
        let (outcome, outputs) = gate(&[]).run_one(Input::json("b", data));
        prop_assert_eq!(outcome == Outcome::Ack, !outputs.is_empty());
    }

    /// However the writes of some users interleave, the same object is stored in the end.
    #[test]
    fn in_any_order_the_same_is_stored(
        order in Just((0..12_usize).collect::<Vec<_>>()).prop_shuffle(),
        fields in proptest::collection::vec(0..3_usize, 12),
    ) {
        let last = |order: &[usize]| {
            let gate = gate(&[("version", "v")]);
            let mut last = String::new();
            for n in order {
                let user = ["ann", "bob", "eve"][n % 3];
                let data = format!(r#"{{"v":{},"f{}":{n}}}"#, n / 3, fields[*n]);
                if let Ok(stored) = run(&gate, 1, user, &data) {
                    last = stored;
                }
            }
            last
        };
        let usual: Vec<usize> = (0..12).collect();
        prop_assert_eq!(last(&usual), last(&order));
    }
}
