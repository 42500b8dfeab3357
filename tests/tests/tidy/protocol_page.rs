//! PROTOCOL.md in step with `protocol/`: every example decodes as what it shows,
//! every frame and every field has an example, every code has its row.

use std::collections::BTreeSet;

use protocol::checkpoint::Checkpoint;
use protocol::close_code::CloseCode;
use protocol::disconnect::Disconnect;
use protocol::error_code::ErrorCode;
use protocol::frame::{Encoding, decode_commands, decode_from_server};
use protocol::outcome::OutcomeEvent;
use protocol::presence::LifecycleEvent;
use protocol::record::Progress;
use protocol::revocation::Revocation;

use super::tree;

fn page() -> String {
    tree::read(&tree::root().join("PROTOCOL.md"))
}

/// The text of every JSON example.
fn examples(page: &str) -> Vec<String> {
    page.split("```json\n")
        .skip(1)
        .map(|rest| {
            rest.split("```")
                .next()
                .unwrap_or_default()
                .trim()
                .to_owned()
        })
        .collect()
}

fn is_frame(example: &str) -> bool {
    let is_command = decode_commands(Encoding::Json, example.as_bytes())
        .all(|command| command.is_ok_and(|command| command.into_action().is_some()));
    is_command
        || decode_from_server(Encoding::Json, example.as_bytes())
            .1
            .is_none()
}

fn is_document(example: &str) -> bool {
    serde_json::from_str::<Checkpoint>(example).is_ok()
        || serde_json::from_str::<OutcomeEvent>(example).is_ok()
        || serde_json::from_str::<Progress>(example).is_ok()
        || serde_json::from_str::<Revocation>(example).is_ok()
        || serde_json::from_str::<Disconnect>(example).is_ok()
        || serde_json::from_str::<LifecycleEvent>(example).is_ok()
}

#[test]
fn every_example_is_what_it_shows() {
    let examples = examples(&page());
    assert!(examples.len() >= 18, "only {} examples", examples.len());
    for example in examples {
        assert!(
            is_frame(&example) || is_document(&example),
            "not a frame or document of the protocol:\n{example}"
        );
    }
}

/// Field names of the frames, from their source: `pub name:` in `protocol/src/frame`.
fn fields() -> BTreeSet<String> {
    let folder = tree::root().join("protocol/src/frame");
    [
        "command.rs",
        "credit.rs",
        "history.rs",
        "presence.rs",
        "reply.rs",
        "push.rs",
        "ticket.rs",
    ]
    .iter()
    .flat_map(|file| {
        let text = tree::read(&folder.join(file));
        text.lines()
            .filter_map(|l| {
                l.trim()
                    .strip_prefix("pub ")?
                    .split_once(": ")
                    .map(|(name, _)| name.to_owned())
            })
            .collect::<Vec<_>>()
    })
    .filter(|name| name != "outcome" && !name.contains(' '))
    .collect()
}

#[test]
fn every_field_of_every_frame_is_shown() {
    let shown = examples(&page()).join("\n");
    let missing: Vec<String> = fields()
        .into_iter()
        .filter(|name| !shown.contains(&format!("\"{name}\":")))
        .collect();
    assert!(missing.is_empty(), "fields without an example: {missing:?}");
    assert!(fields().len() > 30, "the reader of fields sees them");
}

#[test]
fn every_error_code_has_its_row() {
    let page = page();
    for code in ErrorCode::ALL {
        let name = serde_json::to_string(&code).expect("codes are words");
        let row = format!(
            "| `{}` | {} |",
            name.trim_matches('"'),
            if code.temporary() { "yes" } else { "no" }
        );
        assert!(page.contains(&row), "PROTOCOL.md lacks: {row}");
    }
}

#[test]
fn every_close_code_has_its_row() {
    let page = page();
    for code in CloseCode::ALL {
        let row = format!(
            "| {} | `{}` | {} |",
            code.number(),
            code.reason(),
            if code.reconnect() { "yes" } else { "no" }
        );
        assert!(page.contains(&row), "PROTOCOL.md lacks: {row}");
    }
}
