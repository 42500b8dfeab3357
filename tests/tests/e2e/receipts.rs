//! Receipts: a publisher that asks for it is told once that its event has passed the gate, and
//! where the outputs are; with and without the ack of a resend, over a WebSocket and over
//! HTTP. Where there is no gate the ack is all.

use client::{Draft, OutcomeEvent, OutcomeKind, Resend, data_of};
use harness::{Deployment, FunctionChoice, Writer};
use protocol::frame::StoredIn;

use super::common::EARLIEST;

/// Outputs of the event that has many: more than a receipt names channels of.
const MANY: usize = 70;

const PASS: &str = r#"{"do":"pass"}"#;

fn asking(channel: &str, data: &str) -> Draft {
    Draft {
        receipt: true,
        ..Draft::json(channel, data.to_owned())
    }
}

/// Publishes all kinds; returns the numbers of those that ask.
async fn published(ann: &mut Writer) -> Vec<u64> {
    let many = format!(r#"{{"do":"emit","times":{MANY}}}"#);
    let orders = [
        (PASS, true),
        (PASS, false),
        (&many[..], true),
        (r#"{"do":"drop"}"#, true),
        (r#"{"do":"retry","delay_ms":10,"until_attempt":2}"#, true),
    ];
    let mut asked = Vec::new();
    for (order, receipt) in orders {
        let draft = Draft {
            receipt,
            ..asking("lab.a", order)
        };
        let n = ann.start_draft(draft).await.unwrap();
        if receipt {
            asked.push(n);
        }
    }
    asked
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_is_told_once_where_the_outputs_of_an_event_are() {
    let builder = Deployment::builder()
        .functions(&[FunctionChoice::Probe])
        .limits(|limits| limits.emits_per_event = 100);
    let Some(mut deployment) = builder.start().await else {
        return;
    };
    let outputs = deployment.follow(&[1], "joe", "lab.a", EARLIEST).await;
    let mut ann = deployment.writer(&[0], "ann").await;
    let channel = format!("{}.lab", ann.client().session().outcome_prefix);
    let told = deployment.follow(&[1], "ann", &channel, EARLIEST).await;

    let asked = published(&mut ann).await;
    for stored in ann.settle().await {
        assert_eq!(stored.unwrap().stored_in, StoredIn::Ingress);
    }
    // Sent again, it is the same event, whether it asks or not.
    let resend = Resend {
        n: asked[0],
        first_sent: ann.client().server_time_us(),
    };
    let again = ann.resend(resend, "lab.a", PASS).await.unwrap();
    assert!(again.duplicate);
    told.received(asked.len()).await;
    outputs.received(MANY + 3).await;
    let events = outputs.events();
    let mut passed = Vec::new();
    for event in told.events() {
        let outcome: OutcomeEvent = serde_json::from_slice(&data_of(&event).unwrap()).unwrap();
        passed.push((outcome.n, outcome.outcome));
        let Some(made) = outcome.outputs else {
            assert_eq!(outcome.outcome, OutcomeKind::Dropped);
            continue;
        };
        for (seq, channel) in made.places(event.seq) {
            let output = events.iter().find(|event| event.seq == seq);
            let output = output.unwrap_or_else(|| panic!("no output at {seq}: {made:?}"));
            assert_eq!(output.n, Some(outcome.n), "it is of another event");
            assert!(channel.is_none_or(|channel| channel == "lab.a"));
        }
        let of_it = events.iter().filter(|event| event.n == Some(outcome.n));
        assert_eq!(made.count, of_it.count() as u64);
        assert_eq!(made.channels.len(), made.count.min(64) as usize);
    }
    let kinds = [
        OutcomeKind::Passed,
        OutcomeKind::Passed,
        OutcomeKind::Dropped,
        OutcomeKind::Passed,
    ];
    let expected: Vec<_> = asked.into_iter().zip(kinds).collect();
    passed.sort_unstable_by_key(|(n, _)| *n);
    assert_eq!(passed, expected);
    // And it is the checker's turn: each that asked has one, directly behind its outputs.
    deployment.settle().await;
    assert_eq!(told.count(), expected.len());
    deployment.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_gate_the_ack_is_the_receipt() {
    let builder = Deployment::builder().functions(&[]).without_mirror();
    let Some(mut deployment) = builder.workers(0).start().await else {
        return;
    };
    let mut ann = deployment.writer(&[0], "ann").await;
    let channel = format!("{}.chat", ann.client().session().outcome_prefix);
    let told = deployment.follow(&[1], "ann", &channel, EARLIEST).await;
    let chat = deployment.follow(&[1], "joe", "chat.a", EARLIEST).await;
    ann.start_draft(asking("chat.a", "1")).await.unwrap();
    let published = ann.settle().await.remove(0).unwrap();
    assert_eq!(published.stored_in, StoredIn::Events);
    chat.received(1).await;
    let event = chat.events().remove(0);
    assert_eq!(event.seq, published.position.seq);
    assert!(event.headers.is_empty(), "asking is no part of the event");
    assert_eq!(told.count(), 0);
    deployment.check().await;
}
