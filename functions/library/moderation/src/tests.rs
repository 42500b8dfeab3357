//! What becomes of events with something of a list in them.

use proptest::prelude::*;
use sdk::testing::{Input, Output, Runner, record};

use super::*;

const LIST: &str = r#"{"action": "reject", "words": ["slur"], "reason": "be kind"}"#;
const MILD: &str = r#"{"action": "mask", "words": ["darn", "oh heck"]}"#;
const LATER: &str = r#"{"action": "flag", "words": ["buy now", "darn"]}"#;
const LISTS: [(&str, &str); 3] = [
    ("list.hard", LIST),
    ("list.mild", MILD),
    ("list.spam", LATER),
];

fn run(config: &[(&str, &str)], input: Input) -> (Outcome, Vec<Output>) {
    Runner::<Moderation>::new(config).unwrap().run_one(input)
}

fn chat(data: &str) -> Input {
    Input::json("chat.a", data)
}

#[test]
fn an_event_is_rejected_with_the_reason_of_the_list() {
    let (outcome, _) = run(&LISTS, chat(r#"{"text":"oh darn, a SLUR"}"#));
    assert_eq!(outcome, Outcome::reject("be kind"));
    record(|host| assert_eq!(host.counters["rejected"], 1));
    let plain = [("list.hard", r#"{"action":"reject","words":["slur"]}"#)];
    let (outcome, _) = run(&plain, chat(r#"["slur"]"#));
    assert_eq!(
        outcome,
        Outcome::reject("it has words in it that are not allowed here (hard)")
    );
}

#[test]
fn words_are_masked_and_events_flagged() {
    let (outcome, outputs) = run(
        &LISTS,
        chat(r#"{"n":1.0, "text":"Oh, HECK and däärn it", "x":["no"]}"#),
    );
    assert_eq!(outcome, Outcome::Ack);
    assert_eq!(
        String::from_utf8_lossy(&outputs[0].data),
        r#"{"n":1.0,"text":"*** **** and ***** it","x":["no"]}"#
    );
    assert_eq!(
        outputs[0].headers,
        [("moderation".to_owned(), "spam".to_owned())]
    );
    record(|host| {
        assert_eq!(host.counters["masked"], 1);
        assert_eq!(host.counters["flagged"], 1);
    });
}

#[test]
fn what_has_nothing_of_a_list_passes_byte_for_byte() {
    let data = "{ \"text\" : \"Scunthorpe\" }";
    let input = Input {
        headers: vec![("colour".into(), "red".into())],
        ..chat(data)
    };
    let (_, outputs) = run(&LISTS, input.clone());
    assert_eq!(outputs[0].data, data.as_bytes());
    assert_eq!(outputs[0].headers, input.headers);
}

#[test]
fn a_publisher_cannot_flag() {
    let input = Input {
        headers: vec![
            ("moderation".into(), "none".into()),
            ("x".into(), "1".into()),
        ],
        ..chat(r#""fine""#)
    };
    let (_, outputs) = run(&LISTS, input);
    assert_eq!(outputs[0].headers, [("x".to_owned(), "1".to_owned())]);
    let config = [("list.spam", LATER), ("flag_header", "look-at")];
    let (_, outputs) = run(&config, chat(r#""Buy now""#));
    assert_eq!(
        outputs[0].headers,
        [("look-at".to_owned(), "spam".to_owned())]
    );
}

#[test]
fn only_the_fields_that_are_named_are_looked_at() {
    let config = [("list.mild", MILD), ("fields", r#"["text", "/tags/*"]"#)];
    let data = r#"{"text":"darn","name":"darn","tags":["darn",["darn"]]}"#;
    let (_, outputs) = run(&config, chat(data));
    assert_eq!(
        String::from_utf8_lossy(&outputs[0].data),
        r#"{"text":"****","name":"darn","tags":["****",["darn"]]}"#
    );
}

#[test]
fn plain_text_is_looked_at_unless_it_is_not_wanted() {
    let input = Input {
        content_type: "text/plain".into(),
        ..chat("oh darn")
    };
    let (_, outputs) = run(&LISTS, input.clone());
    assert_eq!(outputs[0].data, b"oh ****");
    let [hard, mild, spam] = LISTS;
    let (_, outputs) = run(&[hard, mild, spam, ("other_data", "pass")], input.clone());
    assert_eq!(outputs[0].data, b"oh darn");
    let (outcome, _) = run(&[hard, mild, spam, ("other_data", "reject")], input);
    assert!(matches!(outcome, Outcome::Reject { .. }));
}

#[test]
fn settings_that_are_wrong_are_named() {
    for (config, names) in [
        (&[][..], "list.<name>"),
        (&[("list.a", "{}")], "list.a"),
        (&[("list.a", "null")], "list.a"),
        (&[("list.A", LIST)], "list.A"),
        (&[("list.a", r#"{"action":"shout","words":[]}"#)], "list.a"),
        (
            &[("list.a", r#"{"action":"mask","words":["!"]}"#)],
            "list.a",
        ),
        (&[("list.a", LIST), ("fields", "text")], "fields"),
        (&[("list.a", LIST), ("flag_header", "A b")], "flag_header"),
        (&[("list.a", LIST), ("other_data", "x")], "other_data"),
        (&[("lists", LIST)], "lists"),
    ] {
        let error = Runner::<Moderation>::new(config).err().unwrap();
        assert!(
            error.starts_with(&format!("configuration key {names}: ")),
            "{error}"
        );
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_have_an_outcome(data in proptest::collection::vec(any::<u8>(), 0..200)) {
        let (outcome, outputs) = run(&LISTS, Input::json("a", data));
        prop_assert_eq!(outcome == Outcome::Ack, outputs.len() == 1);
    }

    #[test]
    fn what_is_masked_passes_when_it_comes_again(text in "[a-z$@!* ]{0,20}(darn|d4rn|oh heck)?[a-z ]{0,8}") {
        let mild = [("list.mild", MILD)];
        let plain = |data: Vec<u8>| Input { content_type: "text/plain".into(), ..Input::json("a", data) };
        let (_, once) = run(&mild, plain(text.into_bytes()));
        let (_, twice) = run(&mild, plain(once[0].data.clone()));
        prop_assert_eq!(&once[0].data, &twice[0].data);
    }
}
