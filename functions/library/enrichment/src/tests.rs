//! What is added to events, and what is left alone.

use proptest::prelude::*;
use sdk::testing::{Input, Output, Runner, record};

use super::*;

const PLANS: (&str, &str) = (
    "table.plans",
    r#"{"acme":{"plan":"gold","limit":10.0},"*":{"plan":"free"}}"#,
);
const NAMES: (&str, &str) = ("table.names", r#"{"7":"Seven","true":"Yes","a.b":null}"#);

fn run(config: &[(&str, &str)], input: Input) -> (Outcome, Vec<Output>) {
    Runner::<Enrichment>::new(config).unwrap().run_one(input)
}

#[track_caller]
fn check(rules: &str, data: &str, stored: &str) {
    let config = [PLANS, NAMES, ("add", rules)];
    let (outcome, outputs) = run(&config, Input::json("orders.7.eu", data));
    assert_eq!(outcome, Outcome::Ack);
    assert_eq!(String::from_utf8_lossy(&outputs[0].data), stored);
}

#[test]
fn fields_come_from_what_is_known_about_an_event() {
    check(
        r#"[{"table":"plans","by":"tenant"}]"#,
        r#"{ "z": 1.50, "a": [] }"#,
        r#"{"z":1.50,"a":[],"plan":"gold","limit":10.0}"#,
    );
    check(
        r#"[{"table":"names","by":"token.2","into":"/names/channel"},
            {"table":"names","by":"/n/x","into":"/names/field"},
            {"table":"names","by":"/t","into":"/names/t"}]"#,
        r#"{"n":{"x":7},"t":true}"#,
        r#"{"n":{"x":7},"t":true,"names":{"channel":"Seven","field":"Seven","t":"Yes"}}"#,
    );
    check(
        r#"[{"table":"plans","by":"user"}]"#,
        "{}",
        r#"{"plan":"free"}"#,
    );
    record(|host| assert_eq!(host.counters["added"], 1));
}

#[test]
fn what_is_there_stays_unless_it_is_to_go() {
    let mine = r#"{"plan":"mine"}"#;
    check(
        r#"[{"table":"plans","by":"tenant"}]"#,
        mine,
        r#"{"plan":"mine","limit":10.0}"#,
    );
    record(|host| assert_eq!((host.counters["added"], host.counters["kept"]), (1, 1)));
    check(
        r#"[{"table":"plans","by":"tenant","overwrite":true}]"#,
        mine,
        r#"{"plan":"gold","limit":10.0}"#,
    );
    // What is in the way of a place is not taken away for it.
    check(
        r#"[{"table":"plans","by":"tenant","into":"/plan/of","overwrite":true}]"#,
        mine,
        mine,
    );
    check(
        r#"[{"table":"plans","by":"tenant","into":"/a~1b"}]"#,
        "{}",
        r#"{"a/b":{"plan":"gold","limit":10.0}}"#,
    );
}

#[test]
fn what_is_not_known_passes_byte_for_byte_or_is_rejected() {
    let unknown = r#"{ "n" : [1] }"#;
    for by in ["token.9", "/n", "/m", "token.3"] {
        let rule = format!(r#"[{{"table":"names","by":"{by}","into":"/x"}}]"#);
        check(&rule, unknown, unknown);
        record(|host| assert_eq!(host.counters["missed"], 1));
    }
    let required = r#"[{"table":"names","by":"/m","into":"/x","required":true}]"#;
    let (outcome, _) = run(&[NAMES, ("add", required)], Input::json("a", unknown));
    assert_eq!(
        outcome,
        Outcome::reject("nothing is known about its field \"/m\"")
    );
}

#[test]
fn what_is_no_object_is_handled_as_the_setting_says() {
    let rules = ("add", r#"[{"table":"plans","by":"tenant"}]"#);
    for data in ["[1]", "{", "7"] {
        let (outcome, _) = run(&[PLANS, rules], Input::json("a", data));
        assert!(matches!(outcome, Outcome::Reject { .. }), "{data}");
        let (_, outputs) = run(
            &[PLANS, rules, ("other_data", "pass")],
            Input::json("a", data),
        );
        assert_eq!(outputs[0].data, data.as_bytes());
    }
}

#[test]
fn headers_are_inherited() {
    let input = Input {
        headers: vec![("colour".into(), "red".into())],
        ..Input::json("a", "{}")
    };
    let rules = ("add", r#"[{"table":"plans","by":"tenant"}]"#);
    let (_, outputs) = run(&[PLANS, rules], input.clone());
    assert_eq!(outputs[0].headers, input.headers);
}

#[test]
fn settings_that_are_wrong_are_named() {
    let rule = |rule: &'static str| [PLANS, NAMES, ("add", rule)];
    for (config, names) in [
        (&[][..], "add: has no rule"),
        (&rule("[{}]"), "add: missing field `table`"),
        (
            &rule(r#"[{"table":"plans","by":"tenant","to":""}]"#),
            "add: unknown field `to`",
        ),
        (
            &rule(r#"[{"table":"other","by":"tenant"}]"#),
            "add: rule 1: there is no table.other",
        ),
        (
            &rule(r#"[{"table":"plans","by":"token.0"}]"#),
            "add: rule 1: by: \"token.0\"",
        ),
        (
            &rule(r#"[{"table":"plans","by":"name"}]"#),
            "add: rule 1: by: \"name\"",
        ),
        (
            &rule(r#"[{"table":"plans","by":"user","into":"x"}]"#),
            "add: rule 1: into: \"x\"",
        ),
        (
            &rule(r#"[{"table":"names","by":"user"}]"#),
            "add: rule 1: the entry \"7\" of table.names",
        ),
        (&[("table.x", "[]")], "table.x: must be an object"),
        (&[("table.x", "{")], "table.x: "),
        (&[("other_data", "text")], "add: "),
        (&[("tables", "{}")], "tables: "),
    ] {
        let error = Runner::<Enrichment>::new(config).err().unwrap();
        assert!(
            error.starts_with(&format!("configuration key {names}")),
            "{error}"
        );
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_have_an_outcome(data in proptest::collection::vec(any::<u8>(), 0..200)) {
        let rules = ("add", r#"[{"table":"plans","by":"tenant"}]"#);
        let (outcome, outputs) = run(&[PLANS, rules], Input::json("a", data));
        prop_assert_eq!(outcome == Outcome::Ack, outputs.len() == 1);
    }

    #[test]
    fn what_was_enriched_once_passes_unchanged(members in proptest::collection::btree_map("[a-z]{1,5}", any::<i64>(), 0..5)) {
        let members: Vec<_> = members.iter().map(|(name, n)| format!("{name:?}:{n}")).collect();
        let rules = ("add", r#"[{"table":"plans","by":"tenant"},{"table":"plans","by":"user","into":"/u"}]"#);
        let (_, once) = run(&[PLANS, rules], Input::json("a", format!("{{{}}}", members.join(","))));
        let (_, twice) = run(&[PLANS, rules], Input::json("a", once[0].data.clone()));
        prop_assert_eq!(&once[0].data, &twice[0].data);
    }
}
