//! The gate by itself: what it stores, what it refuses, what it remembers.

use sdk::testing::{Input, Output, Runner, record};

use super::*;
use crate::document::{HISTORY_MAX, TEXT_BYTES_MAX};

mod people;

pub(crate) fn gate(config: &[(&str, &str)]) -> Runner<TextSequencer> {
    Runner::new(config).unwrap()
}

fn run(gate: &Runner<TextSequencer>, data: &str) -> Result<Vec<Output>, String> {
    let input = Input {
        headers: vec![("colour".into(), "red".into())],
        ..Input::json("notes.a", data)
    };
    match gate.run_one(input) {
        (Outcome::Ack, outputs) => Ok(outputs),
        (Outcome::Reject { reason }, _) => Err(reason.into_owned()),
        (other, _) => panic!("{other:?}"),
    }
}

fn text(output: &Output) -> &str {
    std::str::from_utf8(&output.data).unwrap()
}

#[track_caller]
fn stores(gate: &Runner<TextSequencer>, data: &str, stored: &str) {
    let outputs = run(gate, data).unwrap();
    assert_eq!(text(&outputs[0]), stored);
    assert_eq!(outputs[0].channel, "notes.a");
    assert_eq!(
        outputs[0].headers,
        [("colour".to_owned(), "red".to_owned())]
    );
}

#[test]
fn edits_of_one_revision_are_put_one_behind_the_other() {
    let gate = gate(&[]);
    stores(
        &gate,
        r#"{"base":0,"ops":["hello"]}"#,
        r#"{"revision":1,"ops":["hello"]}"#,
    );
    stores(
        &gate,
        r#"{"by":"a7","base":1,"ops":[5," world"],"revision":9}"#,
        r#"{"by":"a7","revision":2,"ops":[5," world"]}"#,
    );
    stores(
        &gate,
        r#"{"base":1,"ops":[5,"!"]}"#,
        r#"{"revision":3,"ops":[11,"!"]}"#,
    );
    stores(
        &gate,
        r#"{"base":1,"ops":[-5]}"#,
        r#"{"revision":4,"ops":[-5]}"#,
    );
    stores(
        &gate,
        r#"{"base":3,"ops":[-5]}"#,
        r#"{"revision":5,"ops":[]}"#,
    );
    record(|host| assert_eq!(host.counters["transformed"], 3));
}

#[test]
fn what_is_no_edit_of_the_text_is_rejected() {
    let gate = gate(&[]);
    stores(
        &gate,
        r#"{"base":0,"ops":["abc"]}"#,
        r#"{"revision":1,"ops":["abc"]}"#,
    );
    for (data, reason) in [
        ("{", "not json: "),
        ("[]", "its base must be the number of a revision"),
        (r#"{"ops":[]}"#, "its base must be"),
        (r#"{"base":-1,"ops":[]}"#, "its base must be"),
        (r#"{"base":1}"#, "it has no ops"),
        (r#"{"base":1,"ops":[null]}"#, "ops: part 1: "),
        (
            r#"{"base":2,"ops":[]}"#,
            "its base 2 is ahead of revision 1",
        ),
        (
            r#"{"base":1,"ops":[3,-1]}"#,
            "it reaches over the end of the text, which has 3 characters in revision 1",
        ),
    ] {
        let told = run(&gate, data).unwrap_err();
        assert!(told.starts_with(reason), "{data}: {told}");
    }
    // What is kept at the end says nothing, even where it is not there.
    stores(
        &gate,
        r#"{"base":0,"ops":[1]}"#,
        r#"{"revision":2,"ops":[]}"#,
    );
    stores(
        &gate,
        r#"{"base":2,"ops":[-3]}"#,
        r#"{"revision":3,"ops":[-3]}"#,
    );
}

#[test]
fn an_edit_within_and_older_than_what_is_remembered() {
    let gate = gate(&[]);
    for base in 0..HISTORY_MAX {
        run(&gate, &format!(r#"{{"base":{base},"ops":["x"]}}"#)).unwrap();
    }
    stores(
        &gate,
        r#"{"base":0,"ops":["y"]}"#,
        &format!(
            r#"{{"revision":{},"ops":[{HISTORY_MAX},"y"]}}"#,
            HISTORY_MAX + 1
        ),
    );
    let told = run(&gate, r#"{"base":0,"ops":["y"]}"#).unwrap_err();
    assert_eq!(
        told,
        "its base 0 is older than the edits that are remembered (from 1): fetch the channel \
         anew and make it of revision 201"
    );
    assert!(run(&gate, r#"{"base":1,"ops":["y"]}"#).is_ok());
}

#[test]
fn a_text_within_and_beyond_its_limit() {
    let gate = gate(&[]);
    let insert =
        |base: u64, bytes: usize| format!(r#"{{"base":{base},"ops":["{}"]}}"#, "x".repeat(bytes));
    assert!(run(&gate, &insert(0, TEXT_BYTES_MAX - 1)).is_ok());
    assert!(run(&gate, &insert(1, 1)).is_ok());
    let over = "the text would have over 49152 bytes";
    assert_eq!(run(&gate, &insert(2, 1)).unwrap_err(), over);
    // What is deleted makes room; large edits make the history short.
    let delete = format!(r#"{{"base":2,"ops":[-{TEXT_BYTES_MAX}]}}"#);
    assert!(run(&gate, &delete).is_ok());
    for base in 3..9 {
        let large = format!(
            r#"{{"base":{base},"ops":["{}"{}]}}"#,
            "y".repeat(40_000),
            if base == 3 { "" } else { ",-40000" }
        );
        assert!(run(&gate, &large).is_ok(), "{base}");
    }
    let told = run(&gate, r#"{"base":6,"ops":["y"]}"#).unwrap_err();
    assert!(told.starts_with("its base 6 is older"), "{told}");
    assert!(run(&gate, r#"{"base":8,"ops":["y"]}"#).is_ok());
}

#[test]
fn an_edit_that_does_not_fit_the_memory_is_rejected_and_changes_nothing() {
    let gate = gate(&[]);
    // Written as JSON a control character has six bytes.
    let large = r"\u0001".repeat(30_000);
    let told = run(&gate, &format!(r#"{{"base":0,"ops":["{large}"]}}"#)).unwrap_err();
    assert!(told.starts_with("the edit is too large: "), "{told}");
    stores(
        &gate,
        r#"{"base":0,"ops":["a"]}"#,
        r#"{"revision":1,"ops":["a"]}"#,
    );
}

#[test]
fn the_whole_text_is_emitted_from_time_to_time() {
    let gate = gate(&[("snapshots", "texts.{channel}"), ("every", "2")]);
    assert_eq!(run(&gate, r#"{"base":0,"ops":["a\"b"]}"#).unwrap().len(), 1);
    let outputs = run(&gate, r#"{"base":0,"ops":["ö"]}"#).unwrap();
    assert_eq!(outputs[1].channel, "texts.notes.a");
    assert_eq!(outputs[1].content_type, JSON);
    assert_eq!(text(&outputs[1]), r#"{"revision":2,"text":"a\"bö"}"#);
    assert_eq!(run(&gate, r#"{"base":2,"ops":[]}"#).unwrap().len(), 1);
}

#[test]
fn settings_that_are_wrong_are_named() {
    for (key, value) in [
        ("snapshots", "a..b"),
        ("every", "0"),
        ("every", "often"),
        ("history", "9"),
    ] {
        let error = Runner::<TextSequencer>::new(&[(key, value)]).err().unwrap();
        let wanted = format!("configuration key {key}: ");
        assert!(error.starts_with(&wanted), "{error}");
    }
}
