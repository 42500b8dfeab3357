//! What is a double, and for how long.

use proptest::prelude::*;
use sdk::testing::{Input, Runner, record};

use super::*;

const MINUTE: u64 = 60_000;

fn gate(config: &[(&str, &str)]) -> Runner<Deduplication> {
    Runner::new(config).unwrap()
}

fn order(ms: u64, data: &str) -> Input {
    Input {
        time_us: ms * 1_000,
        headers: vec![("key".into(), "k-1".into())],
        ..Input::json("orders.a", data)
    }
}

fn run(gate: &Runner<Deduplication>, ms: u64, data: &str) -> Outcome {
    let (outcome, outputs) = gate.run_one(order(ms, data));
    assert_eq!(outputs.len(), usize::from(outcome == Outcome::Ack));
    for output in outputs {
        assert_eq!(output.data, data.as_bytes());
        assert_eq!(output.headers, [("key".to_owned(), "k-1".to_owned())]);
    }
    outcome
}

fn double() -> Outcome {
    Outcome::drop("a double: its field \"/id\" came before, within 10m")
}

#[test]
fn what_came_before_is_dropped_until_its_time_is_over() {
    let gate = gate(&[("by", "/id")]);
    assert_eq!(run(&gate, 0, r#"{"id":1}"#), Outcome::Ack);
    assert_eq!(run(&gate, 1, r#"{"id":1,"more":true}"#), double());
    assert_eq!(run(&gate, 1, r#"{"id":2}"#), Outcome::Ack);
    // A double does not make it be remembered for longer.
    assert_eq!(run(&gate, 10 * MINUTE - 1, r#"{"id":1}"#), double());
    assert_eq!(run(&gate, 10 * MINUTE, r#"{"id":1}"#), Outcome::Ack);
    assert_eq!(run(&gate, 11 * MINUTE, r#"{"id":1}"#), double());
    let elsewhere = Input {
        channel: "orders.b".into(),
        ..order(1, r#"{"id":2}"#)
    };
    assert_eq!(gate.run_one(elsewhere).0, Outcome::Ack);
    record(|host| assert_eq!(host.counters["refused"], 3));
}

#[test]
fn values_are_compared_not_how_they_are_written() {
    let gate = gate(&[("by", "/id")]);
    for (first, second) in [
        (r#"{"id":1}"#, r#"{ "id" : 1.0 }"#),
        (r#"{"id":"a"}"#, r#"{"id":"\u0061"}"#),
        (r#"{"id":{"a":1,"b":2}}"#, r#"{"id":{"b":2,"a":1}}"#),
        (r#"{"id":null}"#, r#"{"id":null}"#),
    ] {
        assert_eq!(run(&gate, 0, first), Outcome::Ack, "{first}");
        assert_eq!(run(&gate, 0, second), double(), "{second}");
    }
    assert_eq!(
        run(&gate, 0, r#"{"id":"1"}"#),
        Outcome::Ack,
        "a text is no number"
    );
}

#[test]
fn a_header_tells_apart_as_well_and_needs_no_json() {
    let gate = gate(&[("by", "header.key"), ("within", "1s"), ("refuse", "reject")]);
    assert_eq!(run(&gate, 0, "no json"), Outcome::Ack);
    let reason = "a double: its header \"key\" came before, within 1s";
    assert_eq!(run(&gate, 999, "{}"), Outcome::reject(reason));
    assert_eq!(run(&gate, 1_000, "{}"), Outcome::Ack);
}

#[test]
fn users_may_be_told_apart() {
    for (per_user, expected) in [("true", Outcome::Ack), ("false", double())] {
        let gate = gate(&[("by", "/id"), ("per_user", per_user)]);
        assert_eq!(run(&gate, 0, r#"{"id":1}"#), Outcome::Ack);
        let bob = Input {
            publisher: "bob".into(),
            ..order(0, r#"{"id":1}"#)
        };
        assert_eq!(gate.run_one(bob).0, expected);
        assert_eq!(run(&gate, 0, r#"{"id":1}"#), double());
    }
}

#[test]
fn what_has_nothing_to_compare_is_rejected_or_passes() {
    for (data, reason) in [("{}", "it has no field \"/id\""), ("{", "not json: ")] {
        let gate_of = |missing| gate(&[("by", "/id"), ("missing", missing)]);
        let rejecting = gate_of("reject");
        let Outcome::Reject { reason: given } = run(&rejecting, 0, data) else {
            panic!("{data} passed");
        };
        assert!(given.starts_with(reason), "{given}");
        let passing = gate_of("pass");
        assert_eq!(run(&passing, 0, data), Outcome::Ack);
        assert_eq!(run(&passing, 0, data), Outcome::Ack);
        record(|host| assert_eq!(host.counters["missing"], 2));
    }
}

#[test]
fn thousands_are_remembered_and_beyond_that_the_oldest_are_forgotten() {
    let gate = gate(&[("by", "/id")]);
    let id = |n: u32| format!(r#"{{"id":{n}}}"#);
    for n in 0..2_500 {
        assert_eq!(run(&gate, u64::from(n), &id(n)), Outcome::Ack);
    }
    for n in 0..2_500 {
        assert_eq!(run(&gate, 2_500, &id(n)), double(), "{n}");
    }
    for n in 2_500..12_500 {
        assert_eq!(run(&gate, u64::from(n), &id(n)), Outcome::Ack);
    }
    record(|host| assert!(host.counters["forgotten"] > 7_000, "{:?}", host.counters));
    assert_eq!(run(&gate, 12_500, &id(0)), Outcome::Ack, "forgotten early");
    for n in 12_000..12_500 {
        assert_eq!(run(&gate, 12_500, &id(n)), double(), "{n}");
    }
}

#[test]
fn settings_that_are_wrong_are_named() {
    for (config, problem) in [
        (vec![], "by: is not set"),
        (
            vec![("by", "id")],
            "by: \"id\": not header.<name> or a JSON pointer",
        ),
        (
            vec![("by", "header.")],
            "by: \"header.\": not header.<name>",
        ),
        (vec![("by", "/id"), ("within", "0s")], "within: \"0s\": "),
        (vec![("by", "/id"), ("per_user", "1")], "per_user: \"1\": "),
        (
            vec![("by", "/id"), ("missing", "drop")],
            "missing: \"drop\": ",
        ),
        (
            vec![("by", "/id"), ("refuse", "pass")],
            "refuse: \"pass\": ",
        ),
        (
            vec![("by", "/id"), ("window", "1s")],
            "window: not one of by",
        ),
    ] {
        let error = Runner::<Deduplication>::new(&config).err().unwrap();
        let wanted = format!("configuration key {problem}");
        assert!(error.starts_with(&wanted), "{error}");
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_have_an_outcome(data in proptest::collection::vec(any::<u8>(), 0..200)) {
        let gate = gate(&[("by", ""), ("missing", "pass")]);
        let (outcome, outputs) = gate.run_one(Input::json("a", data.clone()));
        prop_assert_eq!(outcome, Outcome::Ack);
        prop_assert_eq!(&outputs[0].data, &data);
    }

    /// One of each value within each time, and no other is refused.
    #[test]
    fn it_agrees_with_a_list(steps in proptest::collection::vec((0..5 * MINUTE, 0..4_u8), 1..60)) {
        let gate = gate(&[("by", "/id")]);
        let (mut now, mut passed) = (0, Vec::new());
        for (step, id) in steps {
            now += step;
            let known = passed.iter().any(|(other, at)| *other == id && now < at + 10 * MINUTE);
            let outcome = run(&gate, now, &format!(r#"{{"id":{id}}}"#));
            prop_assert_eq!(outcome == Outcome::Ack, !known);
            if !known {
                passed.push((id, now));
            }
        }
    }
}
