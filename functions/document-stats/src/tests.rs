//! What is derived, and what is dropped and logged.

use sdk::log::Level;
use sdk::testing::{Input, Output, Runner, record};

use super::*;

fn run(input: Input) -> (Outcome, Vec<Output>) {
    Runner::<DocumentStats>::new(&[]).unwrap().run_one(input)
}

#[test]
fn an_edit_becomes_one_event_with_its_statistics() {
    let edit = r#"{"txn":9,"update":"AAECAw==","sent":1}"#;
    let input = Input {
        seq: 41,
        ..Input::json("doc.team.plan", edit)
    };
    let (outcome, outputs) = run(input);
    assert_eq!(outcome, Outcome::Ack);
    assert_eq!(outputs.len(), 1);
    assert_eq!(outputs[0].channel, "stats.team.plan");
    assert_eq!(outputs[0].content_type, "application/json");
    assert_eq!(outputs[0].headers, []);
    assert_eq!(
        String::from_utf8_lossy(&outputs[0].data),
        r#"{"channel":"doc.team.plan","seq":41,"txn":9,"update_bytes":4,"publisher":"alice"}"#
    );
    assert_eq!(record(|host| host.lines.len()), 0);
}

#[test]
fn sizes_follow_from_the_text() {
    assert_eq!(decoded_bytes(""), Some(0));
    assert_eq!(decoded_bytes("AA=="), Some(1));
    assert_eq!(decoded_bytes("AAA="), Some(2));
    assert_eq!(decoded_bytes("AAAA"), Some(3));
    assert_eq!(decoded_bytes("AAA"), None);
    assert_eq!(decoded_bytes("===="), None);
}

#[track_caller]
fn check_dropped(channel: &str, data: &str, expected: &str) {
    let (outcome, outputs) = run(Input::json(channel, data));
    let Outcome::Drop { reason } = outcome else {
        panic!("{data} on {channel} gave {outcome:?}");
    };
    assert!(reason.starts_with(expected), "{reason}");
    assert_eq!(outputs, []);
    record(|host| {
        assert_eq!(host.lines.len(), 1);
        assert_eq!(host.lines[0].0, Level::Warn);
        assert!(host.lines[0].1.contains(&*reason));
        assert_eq!(host.counters["malformed"], 1);
    });
}

#[test]
fn what_is_not_an_edit_is_dropped_and_logged() {
    check_dropped("doc.a", "", "not an edit: ");
    check_dropped(
        "doc.a",
        r#"{"txn":1}"#,
        "not an edit: missing field `update`",
    );
    check_dropped(
        "doc.a",
        r#"{"txn":1,"update":"AAA"}"#,
        "field `update` is not base64",
    );
    check_dropped("doc", r#"{"txn":1,"update":"AAAA"}"#, "channel has no name");
}

#[test]
fn the_longest_channel_passes_and_a_longer_one_is_dropped() {
    let edit = r#"{"txn":1,"update":"AAAA"}"#;
    let longest = "a".repeat(CHANNEL_BYTES_MAX - "stats.".len());
    assert_eq!(
        run(Input::json(&format!("doc.{longest}"), edit)).0,
        Outcome::Ack
    );
    check_dropped(
        &format!("doc.{longest}a"),
        edit,
        "statistics channel is over",
    );
}
