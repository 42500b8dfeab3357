//! Which window an event is of, when its result comes, and what is late.

use proptest::prelude::*;
use sdk::testing::{Input, Output, Runner, record};

use super::*;

fn function(config: &[(&str, &str)]) -> Runner<Window> {
    let usual = [("every", "10s"), ("to", "sums.{channel}"), ("field", "/n")];
    let given = |key: &str| config.iter().any(|(other, _)| *other == key);
    let usual = usual.into_iter().filter(|(key, _)| !given(key));
    Runner::new(&usual.chain(config.iter().copied()).collect::<Vec<_>>()).unwrap()
}

fn event(ms: u64, data: &str) -> Input {
    Input {
        time_us: ms * 1_000,
        headers: vec![("colour".into(), "red".into())],
        ..Input::json("sensors.a", data)
    }
}

fn run(function: &Runner<Window>, ms: u64, data: &str) -> Vec<Output> {
    let (outcome, outputs) = function.run_one(event(ms, data));
    assert_eq!(outcome, Outcome::Ack, "{data}");
    outputs
}

/// The results that were emitted, after a look at the event itself.
fn results(function: &Runner<Window>, ms: u64, data: &str) -> Vec<String> {
    let mut outputs = run(function, ms, data);
    let own = outputs.pop().unwrap();
    assert_eq!((&*own.channel, &*own.data), ("sensors.a", data.as_bytes()));
    assert_eq!(own.headers, [("colour".to_owned(), "red".to_owned())]);
    let result = |output: Output| {
        assert_eq!(output.channel, "sums.sensors.a");
        assert_eq!(output.content_type, JSON);
        assert_eq!(output.headers, []);
        String::from_utf8(output.data).unwrap()
    };
    outputs.into_iter().map(result).collect()
}

const NONE: [String; 0] = [];

#[test]
fn a_result_comes_with_the_first_event_of_a_later_window() {
    let function = function(&[]);
    assert_eq!(results(&function, 10_000, r#"{"n":1}"#), NONE);
    assert_eq!(results(&function, 19_999, r#"{"n":2.5}"#), NONE);
    let first =
        r#"{"from":10000,"to":20000,"count":2,"late":0,"sum":3.5,"min":1,"max":2.5,"mean":1.75}"#;
    assert_eq!(results(&function, 20_000, r#"{"n":-4}"#), [first]);
    let second =
        r#"{"from":20000,"to":30000,"count":1,"late":0,"sum":-4,"min":-4,"max":-4,"mean":-4}"#;
    assert_eq!(results(&function, 95_000, r#"{"n":0}"#), [second]);
    record(|host| assert_eq!(host.counters["windows"], 2));
}

#[test]
fn each_channel_has_a_window_of_its_own() {
    let function = function(&[]);
    assert_eq!(results(&function, 1, r#"{"n":1}"#), NONE);
    let elsewhere = Input {
        channel: "sensors.b".into(),
        ..event(10_001, r#"{"n":1}"#)
    };
    assert_eq!(function.run_one(elsewhere).1.len(), 1);
    assert_eq!(results(&function, 10_001, r#"{"n":1}"#).len(), 1);
}

#[test]
fn events_are_counted_without_a_field_whatever_they_are() {
    let function =
        Runner::<Window>::new(&[("every", "1s"), ("to", "counts"), ("keep", "false")]).unwrap();
    assert_eq!(run(&function, 0, "no json"), []);
    assert_eq!(run(&function, 1, "{}"), []);
    let outputs = run(&function, 1_000, "");
    assert_eq!(outputs[0].channel, "counts");
    assert_eq!(
        outputs[0].data,
        br#"{"from":0,"to":1000,"count":2,"late":0}"#
    );
}

#[test]
fn late_events_are_named() {
    let timed = |late: &str| function(&[("time", "/at"), ("late", late)]);
    let at = |ms: u64| format!(r#"{{"n":1,"at":{ms}}}"#);
    let passing = timed("pass");
    assert_eq!(results(&passing, 30_000, &at(25_000)), NONE);
    assert_eq!(results(&passing, 30_001, &at(19_999)), NONE);
    assert_eq!(results(&passing, 30_002, &at(20_000)), NONE);
    let result = r#"{"from":20000,"to":30000,"count":2,"late":1,"sum":2,"min":1,"max":1,"mean":1}"#;
    assert_eq!(results(&passing, 30_003, &at(30_000)), [result]);
    record(|host| assert_eq!(host.counters["late"], 1));
    let reason = "late: the window of its time, 19999, is over since 20000";
    for (late, outcome) in [
        ("drop", Outcome::drop(reason)),
        ("reject", Outcome::reject(reason)),
    ] {
        let refusing = timed(late);
        assert_eq!(results(&refusing, 30_000, &at(25_000)), NONE);
        assert_eq!(refusing.run_one(event(30_001, &at(19_999))).0, outcome);
    }
}

#[test]
fn no_time_is_far_ahead() {
    let function = function(&[("time", "/at"), ("ahead", "1s"), ("other_data", "reject")]);
    let at = |ms: u64| format!(r#"{{"n":1,"at":{ms}}}"#);
    assert_eq!(results(&function, 5_000, &at(6_000)), NONE);
    let (outcome, _) = function.run_one(event(5_000, &at(6_001)));
    assert_eq!(
        outcome,
        Outcome::reject("its time, 6001, is over 1000 ms ahead of 5000")
    );
}

#[test]
fn what_has_no_number_is_skipped_or_rejected() {
    for (data, reason) in [
        ("{", "not json: "),
        ("{}", "its field \"/n\" is no number"),
        (r#"{"n":"1"}"#, "its field \"/n\" is no number"),
        (r#"{"n":1e16}"#, "its field \"/n\" is over 1000000000000000"),
    ] {
        let skipping = function(&[]);
        assert_eq!(results(&skipping, 0, r#"{"n":1}"#), NONE);
        assert_eq!(results(&skipping, 10_000, data), NONE, "opens no window");
        assert_eq!(results(&skipping, 10_000, r#"{"n":1}"#).len(), 1);
        record(|host| assert_eq!(host.counters["skipped"], 1));
        let rejecting = function(&[("other_data", "reject")]);
        let Outcome::Reject { reason: given } = rejecting.run_one(event(0, data)).0 else {
            panic!("{data} passed");
        };
        assert!(given.starts_with(reason), "{given}");
    }
    let rejecting = function(&[("time", "/at"), ("other_data", "reject")]);
    for at in ["-1", "1e30", "\"0\""] {
        let (outcome, _) = rejecting.run_one(event(0, &format!(r#"{{"n":1,"at":{at}}}"#)));
        assert!(matches!(outcome, Outcome::Reject { .. }), "{at}");
    }
}

#[test]
fn an_open_window_keeps_the_length_that_it_began_with() {
    let old = function(&[]);
    assert_eq!(results(&old, 10_000, r#"{"n":1}"#), NONE);
    let memory = record(|host| host.memory.clone());
    let new = function(&[("every", "1s")]);
    record(|host| host.memory = memory);
    assert_eq!(results(&new, 19_000, r#"{"n":1}"#), NONE);
    let result = results(&new, 20_500, r#"{"n":1}"#);
    assert!(result[0].starts_with(r#"{"from":10000,"to":20000,"count":2,"#));
    let result = results(&new, 21_000, r#"{"n":1}"#);
    assert!(result[0].starts_with(r#"{"from":20000,"to":21000,"count":1,"#));
}

#[test]
fn settings_that_are_wrong_are_named() {
    for (config, problem) in [
        (vec![("to", "a")], "every: is not set"),
        (vec![("every", "0s"), ("to", "a")], "every: \"0s\": "),
        (vec![("every", "1s")], "to: is not set"),
        (vec![("every", "1s"), ("to", "a..b")], "to: \"a..b\": "),
        (
            vec![("every", "1s"), ("to", "a"), ("field", "n")],
            "field: \"n\" is no JSON pointer",
        ),
        (
            vec![("every", "1s"), ("to", "a"), ("time", "at")],
            "time: \"at\" is no JSON pointer",
        ),
        (
            vec![("every", "1s"), ("to", "a"), ("late", "keep")],
            "late: \"keep\": not one of pass",
        ),
        (
            vec![("every", "1s"), ("to", "a"), ("other_data", "text")],
            "other_data: ",
        ),
        (
            vec![("every", "1s"), ("to", "a"), ("size", "1")],
            "size: not one of every",
        ),
    ] {
        let error = Runner::<Window>::new(&config).err().unwrap();
        let wanted = format!("configuration key {problem}");
        assert!(error.starts_with(&wanted), "{error}");
    }
}

proptest! {
    /// No event is lost and none is counted twice, whatever the times are.
    #[test]
    fn every_event_is_in_one_window_or_late(steps in proptest::collection::vec((0..8_000_u64, 0..30_000_u64), 1..80)) {
        let function = function(&[("time", "/at")]);
        let (mut now, mut counted, mut late) = (60_000, 0, 0);
        let mut take = |outputs: Vec<Output>| {
            for output in outputs.iter().filter(|output| output.channel != "sensors.a") {
                let result = json_tree::parse(&output.data).unwrap();
                let number = |name| result.member(name).unwrap().decimal().unwrap().count().unwrap();
                assert_eq!(number("to") - number("from"), 10_000);
                assert_eq!(number("from") % 10_000, 0);
                counted += number("count");
                late += number("late");
            }
        };
        for (step, before) in &steps {
            now += step;
            take(run(&function, now, &format!(r#"{{"n":1,"at":{}}}"#, now - before)));
        }
        take(run(&function, now + 60_000, &format!(r#"{{"n":1,"at":{}}}"#, now + 60_000)));
        prop_assert_eq!(counted + late, steps.len() as u64);
    }

    #[test]
    fn arbitrary_bytes_have_an_outcome(data in proptest::collection::vec(any::<u8>(), 0..200)) {
        let function = function(&[("field", ""), ("time", "")]);
        let (outcome, outputs) = function.run_one(Input::json("b", data));
        prop_assert_eq!(outcome, Outcome::Ack);
        prop_assert_eq!(outputs.len(), 1);
    }
}
