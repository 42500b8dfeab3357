//! What becomes of events that a function does not pass: publishers are told, dead
//! letters are kept, a channel that waits for a retry delays no other, and order stays.

use std::collections::BTreeMap;

use checker::{Expected, Kind, Verdict};
use client::{Event, data_of};
use harness::{Deployment, Follower, FunctionChoice};
use protocol::lane::Lane;
use protocol::name::Channel;
use protocol::outcome::{OutcomeEvent, OutcomeKind};

use super::common::{EARLIEST, edit};

/// Attempts before an event becomes a dead letter.
const ATTEMPTS: u32 = 3;

fn outcomes(follower: &Follower) -> Vec<OutcomeEvent> {
    let read = |event: &Event| serde_json::from_slice(&data_of(event).unwrap()).unwrap();
    follower.events().iter().map(read).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_edits_are_rejected_with_a_reason_and_good_ones_counted() {
    let Some(mut deployment) = Deployment::builder().start().await else {
        return;
    };
    let mut ann = deployment.writer(&[0], "ann").await;
    let channel = format!("{}.doc", ann.client().session().outcome_prefix);
    let told = deployment.follow(&[1], "ann", &channel, EARLIEST).await;
    let edits = deployment.follow(&[1], "joe", "doc.a", EARLIEST).await;
    let stats = deployment.follow(&[0], "joe", "stats.a", EARLIEST).await;

    let bad = [
        r#"{"update":"AA=="}"#,
        r#"{"txn":1,"update":"?"}"#,
        "[1,2]",
        r#"{"txn":1,"update":""}"#,
    ];
    let mut rejected = BTreeMap::new();
    for (n, text) in bad.into_iter().enumerate() {
        ann.publish("doc.a", edit(n as u64)).await.unwrap();
        let published = ann.publish("doc.a", text).await.unwrap();
        rejected.insert(published.n, published.position.seq);
    }
    told.received(bad.len()).await;
    for outcome in outcomes(&told) {
        assert_eq!(outcome.outcome, OutcomeKind::Rejected);
        assert_eq!(Some(&outcome.position.seq), rejected.get(&outcome.n));
        assert!(
            !outcome.reason.is_empty() && outcome.channel == "doc.a",
            "{outcome:?}"
        );
    }
    let verdict = |seq: &u64| Expected {
        input_seq: *seq,
        verdict: Verdict::DeadLetter,
    };
    deployment.expect(FunctionChoice::Gate, rejected.values().map(verdict));
    deployment.settle().await;
    assert_eq!((edits.count(), stats.count()), (bad.len(), bad.len()));
    let report = deployment.check().await;
    assert!(report.counts.inputs_judged >= 3 * bad.len() as u64);
}

/// Two channels of one lane.
fn neighbours(deployment: &Deployment) -> [String; 2] {
    let lane = |name: &str| {
        Lane::of(
            &deployment.tenant,
            &Channel::parse(name).unwrap(),
            deployment.store.lanes,
        )
    };
    let first = "lab.first".to_owned();
    let names = (0..).map(|n| format!("lab.other-{n}"));
    let other = names.into_iter().find(|name| lane(name) == lane(&first));
    [first, other.expect("lanes are few")]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_that_waits_delays_no_other_and_keeps_its_order() {
    let builder = Deployment::builder()
        .functions(&[FunctionChoice::Probe])
        .limits(|limits| limits.attempts = ATTEMPTS);
    let Some(mut deployment) = builder.start().await else {
        return;
    };
    let [parked, free] = neighbours(&deployment);
    let held = deployment.follow(&[1], "joe", &parked, EARLIEST).await;
    let going = deployment.follow(&[1], "joe", &free, EARLIEST).await;
    let mut ann = deployment.writer(&[0], "ann").await;
    let channel = format!("{}.lab", ann.client().session().outcome_prefix);
    let told = deployment.follow(&[0], "ann", &channel, EARLIEST).await;

    // Ten seconds in all: far longer than the other channel needs.
    ann.publish(
        &parked,
        r#"{"do":"retry","delay_ms":5000,"until_attempt":3}"#,
    )
    .await
    .unwrap();
    let doomed = ann
        .publish(&parked, r#"{"do":"retry","delay_ms":10}"#)
        .await
        .unwrap();
    ann.publish(&parked, r#"{"do":"pass"}"#).await.unwrap();
    for _ in 0..20 {
        ann.start(&free, r#"{"do":"pass"}"#).await.unwrap();
    }
    ann.settle_all().await;
    going.received(20).await;
    held.received(2).await;
    // By the order in which they were stored, not by when they arrive here.
    assert!(
        going.events()[19].seq < held.events()[0].seq,
        "the parked channel waits while the other one goes on"
    );
    told.received(1).await;
    let outcome = outcomes(&told).remove(0);
    assert_eq!(
        (outcome.outcome, outcome.n),
        (OutcomeKind::DeadLettered, doomed.n)
    );
    deployment.expect(
        FunctionChoice::Probe,
        [Expected {
            input_seq: doomed.position.seq,
            verdict: Verdict::DeadLetter,
        }],
    );
    deployment.check().await;
    let numbers: Vec<u64> = held.events().iter().map(|event| event.seq).collect();
    assert!(numbers.is_sorted() && numbers.len() == 2, "{numbers:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_function_cannot_handle_becomes_a_dead_letter_and_its_neighbours_pass() {
    let builder = Deployment::builder()
        .functions(&[FunctionChoice::Probe])
        .limits(|limits| limits.attempts = 2);
    let Some(mut deployment) = builder.start().await else {
        return;
    };
    let passed = deployment.follow(&[1], "joe", "lab.a", EARLIEST).await;
    let mut ann = deployment.writer(&[0], "ann").await;
    let orders = [
        "pass", "trap", "pass", "loop", "pass", "memory", "pass", "drop", "reject", "pass",
    ];
    for order in orders {
        ann.start("lab.a", format!(r#"{{"do":"{order}"}}"#))
            .await
            .unwrap();
    }
    ann.settle_all().await;
    let passing = orders.iter().filter(|order| **order == "pass").count();
    passed.received(passing).await;
    deployment.settle().await;

    let stored = deployment.stored().await;
    let mut inputs: Vec<u64> = stored
        .iter()
        .filter(|stored| stored.kind == Kind::In)
        .map(|stored| stored.seq)
        .collect();
    inputs.sort_unstable();
    let verdicts = orders.map(|order| match order {
        "pass" => Verdict::Outputs,
        "drop" => Verdict::Outcome,
        _ => Verdict::DeadLetter,
    });
    let expected = inputs
        .into_iter()
        .zip(verdicts)
        .map(|(input_seq, verdict)| Expected { input_seq, verdict });
    deployment.expect(FunctionChoice::Probe, expected);
    let report = deployment.check().await;
    assert_eq!(report.counts.inputs_judged, orders.len() as u64);
    assert_eq!(passed.count(), passing);
}
