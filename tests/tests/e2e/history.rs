//! Recorded history through a candidate: what it would make different is shown, and
//! nothing is published.

use harness::{Deployment, FunctionChoice};
use protocol::stream::StreamName;
use serde_json::Value;

use super::shell::{Shell, module};

/// The last sequence of both streams.
async fn ends(deployment: &Deployment) -> [u64; 2] {
    let store = deployment.store_name();
    let mut ends = [0; 2];
    for (end, stream) in ends
        .iter_mut()
        .zip([StreamName::ingress(store), StreamName::events(store)])
    {
        *end = deployment.bus.stream_state(&stream).await.unwrap().last_seq;
    }
    ends
}

/// Runs all history through a module as the function `probe`; the differences, and the
/// summary.
async fn replay(shell: &Shell, candidate: &str) -> (Vec<Value>, Value) {
    let wasm = module(candidate);
    let line = ["function", "replay", &wasm, "--from", "earliest"];
    let what = ["--name", "probe", "--emits", "chat.>"];
    let mut lines = shell.json(&[&line[..], &what].concat()).await;
    let summary = lines.pop().unwrap();
    (lines, summary)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_candidate_would_make_different_is_shown() {
    let builder = Deployment::builder()
        .without_mirror()
        .functions(&[FunctionChoice::Probe])
        .edges(1);
    let Some(mut deployment) = builder.start().await else {
        return;
    };
    let shell = Shell::new(deployment.servers.nats_url());
    let mut ann = deployment.writer(&[0], "ann").await;
    let orders = [
        r#"{"do":"pass"}"#,
        r#"{"do":"reject"}"#,
        r#"{"do":"drop"}"#,
        r#"{"do":"emit","times":2,"channel":"chat.b"}"#,
        r#"{"do":"retry","delay_ms":1,"until_attempt":3}"#,
    ];
    for (n, order) in orders.into_iter().enumerate() {
        ann.publish(&format!("lab.{}", n % 2), order).await.unwrap();
    }
    deployment.settle().await;
    for worker in &mut deployment.workers {
        worker.stop().await;
    }
    let before = ends(&deployment).await;
    let (different, summary) = replay(&shell, "probe").await;
    assert_eq!(different, Vec::<Value>::new());
    assert_eq!(
        (&summary["inputs"], &summary["same"]),
        (&5.into(), &5.into())
    );

    let (different, summary) = replay(&shell, "document-gate").await;
    assert_eq!(summary["different"], 5, "{summary}");
    let first = &different[0];
    assert_eq!(first["stored"]["outputs"][0]["data"], orders[0], "{first}");
    assert!(first["candidate"]["rejected"].is_string(), "{first}");
    assert_eq!(ends(&deployment).await, before);
    deployment.stop().await;
}
