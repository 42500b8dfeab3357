//! What passes, in which form, and the reason for each thing that does not.

use proptest::prelude::*;
use sdk::testing::{Input, Output, Runner};

use super::*;

fn run(config: &[(&str, &str)], input: Input) -> (Outcome, Vec<Output>) {
    Runner::<DocumentGate>::new(config).unwrap().run_one(input)
}

#[track_caller]
fn check_passes(data: &str, stored: &str) {
    let (outcome, outputs) = run(&[], Input::json("doc.a", data));
    assert_eq!(outcome, Outcome::Ack);
    assert_eq!(outputs.len(), 1);
    assert_eq!(outputs[0].channel, "doc.a");
    assert_eq!(outputs[0].content_type, "application/json");
    assert_eq!(String::from_utf8_lossy(&outputs[0].data), stored);
}

#[track_caller]
fn check_rejects(data: &str, reason: &str) {
    let (outcome, outputs) = run(&[], Input::json("doc.a", data));
    let Outcome::Reject { reason: given } = outcome else {
        panic!("{data} gave {outcome:?}");
    };
    assert!(given.starts_with(reason), "{data}: {given}");
    assert_eq!(outputs, []);
}

#[test]
fn edits_pass_in_canonical_form() {
    check_passes(
        r#"{"txn":1,"update":"AAE="}"#,
        r#"{"txn":1,"update":"AAE="}"#,
    );
    check_passes(
        "{ \"sent\" : 5, \"who\": [1, {}],\n \"update\": \"\\/\\/\\u0041A\", \"txn\": 18446744073709551615 } ",
        r#"{"txn":18446744073709551615,"update":"//AA","sent":5}"#,
    );
    check_passes(
        r#"{"txn":0,"update":"AAAA","sent":null}"#,
        r#"{"txn":0,"update":"AAAA"}"#,
    );
}

#[test]
fn headers_pass_and_content_types_lose_their_parameters() {
    let input = Input {
        content_type: "Application/JSON; charset=utf-8".into(),
        headers: vec![("colour".into(), "red".into())],
        ..Input::json("doc.a", r#"{"txn":1,"update":"AAE="}"#)
    };
    let (outcome, outputs) = run(&[], input.clone());
    assert_eq!(outcome, Outcome::Ack);
    assert_eq!(outputs[0].headers, input.headers);
    assert_eq!(outputs[0].content_type, "application/json");
}

#[test]
fn malformed_edits_are_rejected_with_the_reason() {
    check_rejects("", "not json: ");
    check_rejects("{\"txn\":1,", "not json: ");
    check_rejects(r#"{"txn":1,"update":"AAE="} x"#, "not json: ");
    check_rejects("[1,\"AAE=\",null]", "malformed edit: must be an object");
    check_rejects("7", "malformed edit: ");
    check_rejects(
        r#"{"update":"AAE="}"#,
        "malformed edit: missing field `txn`",
    );
    check_rejects(r#"{"txn":1}"#, "malformed edit: missing field `update`");
    check_rejects(
        r#"{"txn":-1,"update":"AAE="}"#,
        "malformed edit: invalid value",
    );
    check_rejects(r#"{"txn":1,"update":7}"#, "malformed edit: invalid type");
    check_rejects(
        r#"{"txn":1,"update":"AAE=","sent":"x"}"#,
        "malformed edit: ",
    );
    check_rejects(r#"{"txn":1,"update":""}"#, "field `update` is empty");
    check_rejects(
        r#"{"txn":1,"update":"A!E="}"#,
        "field `update` is not base64: ",
    );
    check_rejects(
        r#"{"txn":1,"update":"AAE"}"#,
        "field `update` is not base64: ",
    );
}

#[test]
fn other_content_types_are_rejected() {
    for content_type in ["", "text/plain", "application/jsonx"] {
        let input = Input {
            content_type: content_type.into(),
            ..Input::json("doc.a", r#"{"txn":1,"update":"AAE="}"#)
        };
        let (outcome, _) = run(&[], input);
        assert_eq!(
            outcome,
            Outcome::reject("content type must be application/json")
        );
    }
}

fn edit(update_bytes: usize) -> Input {
    let update = STANDARD.encode(vec![7; update_bytes]);
    Input::json("doc.a", format!(r#"{{"txn":1,"update":"{update}"}}"#))
}

#[test]
fn the_largest_update_passes_and_one_byte_more_does_not() {
    for (config, max) in [
        (&[][..], UPDATE_BYTES_MAX),
        (&[("update_bytes_max", "10")], 10),
        (&[("update_bytes_max", "9")], 9),
    ] {
        assert_eq!(run(config, edit(max)).0, Outcome::Ack);
        for over in [1, 2, 3, 1000] {
            let reason = format!("field `update` is over {max} bytes");
            assert_eq!(run(config, edit(max + over)).0, Outcome::reject(reason));
        }
    }
}

#[test]
fn a_limit_that_is_no_number_is_a_faulty_deployment() {
    let error = Runner::<DocumentGate>::new(&[("update_bytes_max", "big")]).err();
    assert!(
        error
            .unwrap()
            .starts_with("configuration key update_bytes_max")
    );
}

proptest! {
    #[test]
    fn what_was_stored_passes_unchanged(
        txn: u64,
        update in proptest::collection::vec(any::<u8>(), 1..200),
        sent: Option<u64>,
    ) {
        let update = STANDARD.encode(update).into();
        let data = serde_json::to_vec(&Edit { txn, update, sent }).unwrap();
        let (outcome, outputs) = run(&[], Input::json("doc.a", data.clone()));
        prop_assert_eq!(outcome, Outcome::Ack);
        prop_assert_eq!(&outputs[0].data, &data);
    }

    #[test]
    fn arbitrary_bytes_have_an_outcome(data in proptest::collection::vec(any::<u8>(), 0..200)) {
        let (outcome, outputs) = run(&[], Input::json("doc.a", data));
        prop_assert_eq!(outcome == Outcome::Ack, outputs.len() == 1);
    }
}
