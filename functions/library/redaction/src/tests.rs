//! What readers get of an event, and what is counted.

use proptest::prelude::*;
use sdk::testing::{Input, Output, Runner, record};

use super::*;

const KEY: (&str, &str) = ("hash_key", "0123456789abcdef");

fn run(config: &[(&str, &str)], input: Input) -> (Outcome, Vec<Output>) {
    Runner::<Redaction>::new(config).unwrap().run_one(input)
}

#[track_caller]
fn check(config: &[(&str, &str)], data: &str, stored: &str) {
    let (outcome, outputs) = run(config, Input::json("support.a", data));
    assert_eq!(outcome, Outcome::Ack);
    assert_eq!(String::from_utf8_lossy(&outputs[0].data), stored);
}

#[test]
fn fields_are_removed_masked_and_hashed() {
    let config = [
        ("remove", r#"["password", "/list/0"]"#),
        ("mask", r#"["/user/name", "address"]"#),
        ("hash", r#"["customer"]"#),
        KEY,
    ];
    check(
        &config,
        r#"{ "z": 1.50, "user": {"name": "Ann", "Password": 1}, "list": [1, 2], "address": {"a": [1]} }"#,
        r#"{"z":1.50,"user":{"name":"***"},"list":[2],"address":"***"}"#,
    );
    record(|host| assert_eq!(host.counters["redacted_fields"], 4));
    check(
        &[("mask", r#"["a"]"#), ("mask_text", "")],
        r#"{"a":1}"#,
        r#"{"a":""}"#,
    );
}

#[test]
fn equal_values_have_equal_hashes_under_one_key_alone() {
    let hash = |key: &str, data: &str| {
        let config = [("hash", r#"["c"]"#), ("hash_key", key)];
        let (_, outputs) = run(&config, Input::json("a", data));
        String::from_utf8(outputs[0].data.clone()).unwrap()
    };
    let (one, other) = ("0123456789abcdef", "0123456789abcdeX");
    let ann = hash(one, r#"{"c":"ann"}"#);
    assert_eq!(ann, hash(one, r#"{ "c" : "\u0061nn" }"#));
    assert_eq!(ann.len(), r#"{"c":""}"#.len() + 24);
    assert_ne!(ann, hash(one, r#"{"c":"bob"}"#));
    assert_ne!(ann, hash(other, r#"{"c":"ann"}"#));
    assert_eq!(hash(one, r#"{"c":1}"#), hash(one, r#"{"c":1.0}"#));
}

#[test]
fn texts_and_names_lose_what_is_found_in_them() {
    check(
        &[],
        r#"{"text":"mail ann@example.org or +49 171 1234567","ann@example.org":1,"bob@example.org":2,"[email] 2":3}"#,
        r#"{"text":"mail [email] or [phone]","[email]":1,"[email] 3":2,"[email] 2":3}"#,
    );
    record(|host| {
        assert_eq!(host.counters["redacted_email"], 3);
        assert_eq!(host.counters["redacted_phone"], 1);
    });
    check(
        &[("patterns", r#"["card"]"#)],
        r#"["a@b.cc 4111111111111111"]"#,
        r#"["a@b.cc [card]"]"#,
    );
    check(&[("patterns", "[]")], r#"["a@b.cc"]"#, r#"["a@b.cc"]"#);
    let (_, outputs) = run(
        &[("pattern_action", "hash"), KEY],
        Input::json("a", r#"["a@b.cc a@b.cc x@b.cc"]"#),
    );
    let text = String::from_utf8(outputs[0].data.clone()).unwrap();
    let tokens: Vec<_> = text.trim_matches(&['[', ']', '"'][..]).split(' ').collect();
    assert!(
        tokens[0].starts_with("[email:") || tokens[0].starts_with("email:"),
        "{text}"
    );
    assert!(
        tokens[1].contains(tokens[0].trim_start_matches('[')),
        "{text}"
    );
    assert!(
        !tokens[2].contains(tokens[0].trim_start_matches('[').trim_end_matches(']')),
        "{text}"
    );
}

#[test]
fn what_has_nothing_to_redact_passes_byte_for_byte() {
    let data = "{ \"b\" : 1.0,\n\"a\" : \"2026-11-28\" }";
    let input = Input {
        headers: vec![("colour".into(), "red".into())],
        ..Input::json("support.a", data)
    };
    let (outcome, outputs) = run(&[("remove", r#"["c"]"#)], input.clone());
    assert_eq!(outcome, Outcome::Ack);
    assert_eq!(outputs[0].data, data.as_bytes());
    assert_eq!(outputs[0].headers, input.headers);
    assert_eq!(outputs[0].content_type, "application/json");
    record(|host| assert!(host.counters.is_empty()));
}

#[test]
fn values_of_headers_are_texts_too() {
    let input = Input {
        headers: vec![
            ("from".into(), "ann@example.org".into()),
            ("x".into(), "1".into()),
        ],
        ..Input::json("support.a", "1")
    };
    let (_, outputs) = run(&[], input);
    let headers: Vec<_> = outputs[0]
        .headers
        .iter()
        .map(|(_, value)| value.as_str())
        .collect();
    assert_eq!(headers, ["[email]", "1"]);
}

#[test]
fn what_is_no_json_is_rejected_unless_it_is_to_be_searched() {
    let input = Input {
        content_type: "text/plain".into(),
        ..Input::json("support.a", "ask a@b.cc")
    };
    assert!(matches!(run(&[], input.clone()).0, Outcome::Reject { .. }));
    let (_, outputs) = run(&[("other_data", "text")], input.clone());
    assert_eq!(outputs[0].data, b"ask [email]");
    assert_eq!(outputs[0].content_type, "text/plain");
    let (_, outputs) = run(&[("other_data", "pass")], input);
    assert_eq!(outputs[0].data, b"ask a@b.cc");
}

#[test]
fn settings_that_are_wrong_are_named() {
    for (config, names) in [
        (&[("remove", "password")][..], "remove"),
        (&[("mask", r#"[""]"#)], "mask"),
        (&[("hash", r#"["a"]"#)], "hash_key"),
        (&[("hash_key", "short")], "hash_key"),
        (&[("pattern_action", "hash")], "hash_key"),
        (&[("pattern_action", "drop")], "pattern_action"),
        (&[("patterns", r#"["name"]"#)], "patterns"),
        (&[("other_data", "drop")], "other_data"),
        (&[("colour", "red")], "colour"),
    ] {
        let error = Runner::<Redaction>::new(config).err().unwrap();
        assert!(
            error.starts_with(&format!("configuration key {names}: ")),
            "{error}"
        );
        assert!(!error.contains("short"), "keys are not repeated: {error}");
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_have_an_outcome(data in proptest::collection::vec(any::<u8>(), 0..200)) {
        for other in ["text", "reject", "pass"] {
            let (outcome, outputs) = run(&[("other_data", other)], Input::json("a", data.clone()));
            prop_assert_eq!(outcome == Outcome::Ack, outputs.len() == 1);
        }
    }

    #[test]
    fn documents_stay_documents_with_as_many_members(
        texts in proptest::collection::vec("[ +@.0-9a-c]{0,30}", 0..6),
    ) {
        let members: Vec<String> = texts.iter().enumerate()
            .map(|(at, text)| format!("{:?}:{text:?}", format!("{text}{at}")))
            .collect();
        let data = format!("{{{}}}", members.join(","));
        let (_, outputs) = run(&[], Input::json("a", data));
        let node = json_tree::parse(&outputs[0].data).unwrap();
        let Node::Object(left) = node else { panic!("no object") };
        prop_assert_eq!(left.len(), members.len());
    }
}
