//! What several end-to-end tests say: edits, starts, ids.

use std::time::Duration;

use bytes::Bytes;
use client::{ClientError, Published};
pub use harness::follower::EARLIEST;
use harness::instance::get;
use harness::{Builder, Deployment, until};
use protocol::error_code::ErrorCode;
use protocol::stream::StreamName;

/// How long a test's events are kept that must be gone soon.
const SHORT_AGE: Duration = Duration::from_secs(2);

/// Edge nodes alone, over streams that soon forget events, and ids sooner.
pub fn short_lived() -> Builder {
    let edges = Deployment::builder()
        .without_mirror()
        .functions(&[])
        .workers(0);
    edges.store(|store| {
        store.events_max_age = SHORT_AGE;
        store.ingress_max_age = SHORT_AGE;
        store.duplicate_window_events = SHORT_AGE / 2;
        store.duplicate_window_ingress = SHORT_AGE / 2;
    })
}

/// Waits until retention has removed this event from EVENTS.
pub async fn removed(deployment: &Deployment, seq: u64) {
    let stream = StreamName::events(deployment.store_name());
    until("retention removes an event", async || {
        let state = deployment.bus.stream_state(&stream).await;
        match state.map_err(|error| error.to_string())? {
            state if state.first_seq > seq => Ok(()),
            state => Err(format!("{state:?}")),
        }
    })
    .await;
}

/// A well-formed edit, in the form in which the gate stores it.
pub fn edit(txn: u64) -> Bytes {
    format!(r#"{{"txn":{txn},"update":"AAEC"}}"#).into()
}

/// An event for channels without a gate.
pub fn note(n: u64) -> Bytes {
    format!(r#"{{"note":{n}}}"#).into()
}

/// Data of so many bytes.
pub fn block(n: u64, bytes: usize) -> Bytes {
    format!(r#"{{"note":{n},"fill":"{}"}}"#, "x".repeat(bytes)).into()
}

/// The code of a refusal.
pub fn refusal<T: std::fmt::Debug>(outcome: Result<T, ClientError>) -> ErrorCode {
    match outcome {
        Err(ClientError::Refused(body)) => body.code,
        other => panic!("not refused: {other:?}"),
    }
}

/// A repeated ack says that it is one, and names the first position.
pub fn assert_duplicate(first: &Published, again: &Published) {
    assert!(!first.duplicate && again.duplicate, "{first:?}, {again:?}");
    assert_eq!(first.position.seq, again.position.seq);
    assert_eq!(first.stored_in, again.stored_in);
}

/// A counter of one edge node, 0 before its first count. Its own if the node is a
/// child process; else that of all nodes in this process.
pub async fn counter(deployment: &Deployment, edge: usize, name: &str) -> u64 {
    let text = get(deployment.edges[edge].health(), "/metrics").await;
    let text = text.expect("the node serves its metrics");
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.map_or(0, |rest| rest.trim().parse::<f64>().unwrap() as u64)
}
