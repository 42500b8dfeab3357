//! Real guests as stages: each remembers under its own name, says so in its log, and is
//! told apart when it does not start.

use protocol::checkpoint::Digest;
use protocol::name::FunctionName;
use protocol::spec::Stage as Further;

use super::stage::{Stage, data};
use super::*;

fn pipeline() -> Stage {
    let stage = |name: &str| Further {
        name: FunctionName::parse(name).unwrap(),
        digest: Digest::from_bytes([7; 32]),
        config: Default::default(),
    };
    Stage::pipeline(
        &guest("probe"),
        wide(),
        vec![stage("second"), stage("third")],
    )
}

#[tokio::test]
async fn an_event_passes_every_stage_and_each_remembers_under_its_name() {
    let stage = pipeline();
    let counts = |value: &str| format!(r#"{{"do":"remember","value":{value}}}"#);
    let handled = stage.one(counts(&counts(r#"{"do":"emit"}"#))).await;
    assert_eq!(data(&handled), [r#"{"n":0,"value":null}"#]);
    let Handled::Ack(done) = handled else {
        panic!("{handled:?}");
    };
    let keys: Vec<&str> = done.changes.iter().map(|(key, _)| &**key).collect();
    assert_eq!(keys, ["count", "second\0count"]);
}

#[tokio::test]
async fn a_refusal_by_a_later_stage_is_the_events() {
    let stage = pipeline();
    let order = r#"{"do":"hand","value":{"do":"reject"}}"#;
    let refused = Handled::Reject("rejected as told".into());
    assert_eq!(stage.one(order).await, refused);
    let trap = stage.one(r#"{"do":"hand","value":{"do":"trap"}}"#).await;
    assert!(matches!(trap, Handled::Fault(_)), "{trap:?}");
    let order = r#"{"do":"hand","value":{"do":"log"}}"#;
    stage.lines();
    stage.one(order).await;
    let texts = stage.texts();
    assert!(
        texts.iter().any(|text| text.starts_with("second: ")),
        "{texts:?}"
    );
}
