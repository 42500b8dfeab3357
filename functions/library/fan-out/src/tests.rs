//! Where events go, and under which names.

use proptest::prelude::*;
use sdk::testing::{Input, Output, Runner, record};

use super::*;

fn run(config: &[(&str, &str)], input: Input) -> (Outcome, Vec<Output>) {
    Runner::<FanOut>::new(config).unwrap().run_one(input)
}

fn order(data: &str) -> Input {
    Input {
        headers: vec![("colour".into(), "red".into())],
        ..Input::json("orders.7.eu", data)
    }
}

fn channels(outputs: &[Output]) -> Vec<&str> {
    outputs
        .iter()
        .map(|output| output.channel.as_str())
        .collect()
}

#[track_caller]
fn check(rules: &str, data: &str, expected: &[&str]) {
    let (outcome, outputs) = run(&[("rules", rules)], order(data));
    assert_eq!(outcome, Outcome::Ack);
    assert_eq!(channels(&outputs), expected, "{rules}");
    for output in outputs {
        assert_eq!(output.data, data.as_bytes());
        assert_eq!(output.headers, [("colour".to_owned(), "red".to_owned())]);
        assert_eq!(output.content_type, "application/json");
    }
}

#[test]
fn names_are_filled_from_the_event() {
    check(
        r#"[{"to":["audit.{tenant}.{user}","by.{token.3}.{/customer/id}","all.{channel}"]}]"#,
        r#"{ "customer" : {"id": 12} }"#,
        &[
            "orders.7.eu",
            "audit.acme.alice",
            "by.eu.12",
            "all.orders.7.eu",
        ],
    );
    record(|host| assert_eq!(host.counters["emitted"], 3));
    let input = Input {
        publisher: "ann@example.org".into(),
        ..order("{}")
    };
    let (_, outputs) = run(&[("rules", r#"[{"to":["u.{user}"]}]"#)], input);
    assert_eq!(channels(&outputs), ["orders.7.eu", "u.ann_40example_2eorg"]);
}

#[test]
fn rules_are_for_some_events() {
    let rules = r#"[
        {"on":"orders.*.eu","to":["eu"]},
        {"on":"orders.*","to":["short"]},
        {"when":{"/status":"paid","/total":10},"to":["paid","eu"]},
        {"when":{"":null},"to":["nothing"]}
    ]"#;
    check(rules, r#"{"status":"open"}"#, &["orders.7.eu", "eu"]);
    check(
        rules,
        r#"{"status":"paid","total":10.0}"#,
        &["orders.7.eu", "eu", "paid"],
    );
    check(
        rules,
        r#"{"status":"paid","total":"10"}"#,
        &["orders.7.eu", "eu"],
    );
    check(rules, "null", &["orders.7.eu", "eu", "nothing"]);
}

#[test]
fn no_name_leads_elsewhere_than_it_says() {
    for (data, reason) in [
        (
            r#"{"to":"a.b"}"#,
            "the field \"/to\" is not one token of a channel",
        ),
        (
            r#"{"to":""}"#,
            "the field \"/to\" is not one token of a channel",
        ),
        (r#"{"to":["a"]}"#, "the field \"/to\" is not there"),
        ("{}", "the field \"/to\" is not there"),
        (
            r#"{"to":"_x"}"#,
            "channel contains a token that starts with '_'",
        ),
        (r#"{"to":"*"}"#, "channel contains '*'"),
        (r#"{"to":"a b"}"#, "channel contains ' '"),
    ] {
        let rules = ("rules", r#"[{"to":["user.{/to}"]}]"#);
        let (outcome, outputs) = run(&[rules], order(data));
        let Outcome::Reject { reason: given } = outcome else {
            panic!("{data}: {outcome:?}");
        };
        assert!(given.starts_with(reason), "{data}: {given}");
        assert_eq!(outputs, []);
        let (outcome, outputs) = run(&[rules, ("unnamed", "skip")], order(data));
        assert_eq!(outcome, Outcome::Ack);
        assert_eq!(channels(&outputs), ["orders.7.eu"]);
        record(|host| assert_eq!(host.counters["unnamed"], 1));
    }
    let long = format!(r#"{{"to":"{}"}}"#, "x".repeat(65));
    let (outcome, _) = run(&[("rules", r#"[{"to":["{/to}"]}]"#)], order(&long));
    assert!(matches!(outcome, Outcome::Reject { .. }));
}

#[test]
fn as_many_channels_as_allowed_and_one_more() {
    let rules = (
        "rules",
        r#"[{"to":["a","b","a","orders.7.eu"]},{"when":{"/c":1},"to":["c"]}]"#,
    );
    let (_, outputs) = run(&[rules, ("max", "2")], order("{}"));
    assert_eq!(channels(&outputs), ["orders.7.eu", "a", "b"]);
    let (outcome, _) = run(&[rules, ("max", "2")], order(r#"{"c":1}"#));
    assert_eq!(
        outcome,
        Outcome::reject("it goes to 3 channels, more than 2")
    );
}

#[test]
fn the_event_itself_may_be_left_out() {
    let rules = ("rules", r#"[{"when":{"/a":1},"to":["a"]}]"#);
    let (_, outputs) = run(&[rules, ("keep", "false")], order(r#"{"a":1}"#));
    assert_eq!(channels(&outputs), ["a"]);
    let (outcome, _) = run(&[rules, ("keep", "false")], order("{}"));
    assert_eq!(outcome, Outcome::drop("no rule is for it"));
}

#[test]
fn what_is_no_json_has_no_fields_or_is_rejected() {
    let rules = ("rules", r#"[{"to":["all"]},{"when":{"/a":1},"to":["a"]}]"#);
    for input in [
        order("{"),
        Input {
            content_type: "text/plain".into(),
            ..order(r#"{"a":1}"#)
        },
    ] {
        let (_, outputs) = run(&[rules], input.clone());
        assert_eq!(channels(&outputs), ["orders.7.eu", "all"]);
        let (outcome, _) = run(&[rules, ("other_data", "reject")], input);
        assert!(matches!(outcome, Outcome::Reject { .. }));
    }
}

#[test]
fn settings_that_are_wrong_are_named() {
    let to = |text: &str| format!(r#"[{{"to":["{text}"]}}]"#);
    for (rules, problem) in [
        ("[]".to_owned(), "rules: has no rule"),
        (
            r#"[{"to":[]}]"#.to_owned(),
            "rules: rule 1: to: names no channel",
        ),
        (
            r#"[{"to":["a"],"on":"a..b"}]"#.to_owned(),
            "rules: rule 1: on: ",
        ),
        (
            r#"[{"to":["a"],"when":{"a":1}}]"#.to_owned(),
            "rules: rule 1: when: \"a\"",
        ),
        (
            r#"[{"to":["a"],"if":1}]"#.to_owned(),
            "rules: unknown field `if`",
        ),
        (to("a.{x}"), "rules: rule 1: to: \"a.{x}\": {x} is not"),
        (
            to("a.{token.0}"),
            "rules: rule 1: to: \"a.{token.0}\": {token.0} is not",
        ),
        (
            to("a.{tenant"),
            "rules: rule 1: to: \"a.{tenant\": `}` is missing",
        ),
        (to("a..b"), "rules: rule 1: to: \"a..b\": "),
        (to("_outcome.x"), "rules: rule 1: to: \"_outcome.x\": "),
    ] {
        let error = Runner::<FanOut>::new(&[("rules", &rules)]).err().unwrap();
        assert!(
            error.starts_with(&format!("configuration key {problem}")),
            "{error}"
        );
    }
    for (key, value) in [
        ("max", "many"),
        ("keep", "1"),
        ("unnamed", "drop"),
        ("other_data", "text"),
        ("rule", "[]"),
    ] {
        let error = Runner::<FanOut>::new(&[("rules", &to("a")), (key, value)])
            .err()
            .unwrap();
        assert!(
            error.starts_with(&format!("configuration key {key}: ")),
            "{error}"
        );
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_have_an_outcome(data in proptest::collection::vec(any::<u8>(), 0..200)) {
        let (outcome, outputs) = run(&[("rules", r#"[{"to":["a.{/a}"]}]"#), ("unnamed", "skip")], Input::json("b", data));
        prop_assert_eq!(outcome == Outcome::Ack, !outputs.is_empty());
    }

    #[test]
    fn whatever_fills_a_gap_the_host_takes_the_name(text: String) {
        let data = serde_json::json!({ "a": text }).to_string();
        let (_, outputs) = run(&[("rules", r#"[{"to":["a.{/a}.b"]}]"#)], Input::json("b", data));
        for output in &outputs {
            prop_assert!(Channel::for_client(&output.channel).is_ok());
            prop_assert!(output.channel == "b" || output.channel.split('.').count() == 3);
        }
    }
}
