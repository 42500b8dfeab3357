//! A resent event has one effect and one position: on the same and another node,
//! before and after the stream has forgotten its id. Another event under its id is
//! refused; what retention took is said to be unknown.

use std::time::Duration;

use checker::Sent;
use client::{Published, Resend};
use harness::{Builder, Deployment, FunctionChoice, Writer, body_hash, until};
use protocol::bus::Outgoing;
use protocol::error_code::ErrorCode;
use protocol::header::{self, Headers};
use protocol::lane::Lane;
use protocol::name::Channel;
use protocol::subject::{Kind, Subject};

use super::common::{assert_duplicate, edit, note, refusal, removed, short_lived};

/// A window that is soon over.
const SHORT_WINDOW: Duration = Duration::from_secs(1);

/// An event as it was first published: which, where, and its ack.
type First = (Resend, &'static str, Published);

/// Another session of the same writer, on another node.
async fn again(deployment: &Deployment, writer: &Writer, edge: usize) -> Writer {
    let mut options = deployment.client_options(&[edge], "ann");
    options.client = Some(writer.client().client_id().clone());
    // Beyond anything that a test publishes itself.
    options.first_n = 1_000;
    deployment.writer_with(options, "ann").await
}

/// Resends events through both nodes, and tries other bodies under their numbers.
async fn resend_everywhere(resends: &mut [(Writer, &str)], first: &[First]) {
    for (writer, node) in resends {
        for (resend, channel, published) in first {
            let data = if channel.starts_with("doc") {
                edit(resend.n)
            } else {
                note(resend.n)
            };
            let duplicate = writer.resend(*resend, channel, data).await;
            assert_duplicate(
                published,
                &duplicate.unwrap_or_else(|error| panic!("{node}: {error}")),
            );
            let other = if channel.starts_with("doc") {
                edit(resend.n + 500)
            } else {
                note(resend.n + 500)
            };
            assert_eq!(
                refusal(writer.reuse(*resend, channel, other).await),
                ErrorCode::IdReused,
                "{node}"
            );
        }
    }
}

async fn publish_all(writer: &mut Writer) -> Vec<First> {
    let mut first = Vec::new();
    for n in 1..=6 {
        let first_sent = writer.client().server_time_us();
        let (channel, data) = if n % 2 == 0 {
            ("doc.a", edit(n))
        } else {
            ("chat.a", note(n))
        };
        let published = writer.publish(channel, data).await.unwrap();
        assert_eq!(published.n, n);
        first.push((Resend { n, first_sent }, channel, published));
    }
    first
}

/// Streams that remember an id for a second.
fn forgetful() -> Builder {
    Deployment::builder().store(|store| {
        store.duplicate_window_ingress = SHORT_WINDOW;
        store.duplicate_window_events = SHORT_WINDOW;
    })
}

async fn every_resend_is_a_duplicate(
    mut deployment: Deployment,
    wait: impl AsyncFnOnce(&Deployment),
) {
    let mut writer = deployment.writer(&[0], "ann").await;
    let first = publish_all(&mut writer).await;
    wait(&deployment).await;
    let mut sessions = [
        (again(&deployment, &writer, 0).await, "same node"),
        (again(&deployment, &writer, 1).await, "other node"),
    ];
    resend_everywhere(&mut sessions, &first).await;
    let report = deployment.check().await;
    assert_eq!(report.counts.duplicates, 12);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn within_the_window() {
    let Some(deployment) = Deployment::builder().start().await else {
        return;
    };
    every_resend_is_a_duplicate(deployment, async |_| {}).await;
}

/// Publishes an event under a message id of its own, straight into a stream; whether
/// the stream knew that id.
async fn canary(deployment: &Deployment, kind: Kind, channel: &str, n: u64) -> bool {
    let name = Channel::parse(channel).unwrap();
    let lane = Lane::of(&deployment.tenant, &name, deployment.store.lanes);
    let subject = Subject::event(
        kind,
        &deployment.store.name,
        lane,
        &deployment.tenant,
        &name,
    );
    let mut headers = Headers::new();
    headers.push(header::ID, format!("acme/canary/{}/{n}", kind.as_str()));
    headers.push(header::PUBLISHER, format!("canary/{}", kind.as_str()));
    if kind == Kind::In {
        headers.push(header::GATE, FunctionChoice::Gate.name());
    }
    let payload = edit(n);
    let sent = Sent {
        publisher: format!("acme/canary/{}", kind.as_str()),
        n,
        channel: format!("acme/{channel}"),
        body: body_hash(&payload),
        first_us: 0,
    };
    let msg_id = Some(format!("canary-{}", kind.as_str()));
    let outgoing = Outgoing {
        subject,
        headers,
        payload,
        msg_id,
        expect: None,
    };
    let ack = deployment.bus.publish(outgoing).await.unwrap();
    deployment.recorder.record(sent);
    ack.duplicate
}

/// Waits until both streams have forgotten every id that they have seen so far: they
/// forget in the order in which they stored.
async fn forgotten(deployment: &Deployment) {
    for (kind, channel) in [(Kind::In, "doc.canary"), (Kind::Ev, "chat.canary")] {
        let mut n = 1;
        assert!(!canary(deployment, kind, channel, n).await);
        until("the stream has forgotten an id", async || {
            n += 1;
            match canary(deployment, kind, channel, n).await {
                true => Err("it still knows it".to_owned()),
                false => Ok(()),
            }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_the_window() {
    let Some(deployment) = forgetful().start().await else {
        return;
    };
    every_resend_is_a_duplicate(deployment, async |deployment| forgotten(deployment).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_was_never_stored_is_stored_by_its_resend() {
    let Some(mut deployment) = forgetful().start().await else {
        return;
    };
    let mut writer = deployment.writer(&[1], "ann").await;
    let first_sent = writer.client().server_time_us();
    for (n, channel, data) in [(7, "chat.a", note(7)), (8, "doc.a", edit(8))] {
        // To the node it looks like a resend of what never arrived.
        let stored = writer
            .reuse(Resend { n, first_sent }, channel, data.clone())
            .await
            .unwrap();
        assert!(!stored.duplicate);
        let again = writer
            .resend(Resend { n, first_sent }, channel, data)
            .await
            .unwrap();
        assert_duplicate(&stored, &again);
    }
    let report = deployment.check().await;
    assert_eq!((report.counts.acked, report.counts.duplicates), (4, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_before_retention() {
    let Some(mut deployment) = short_lived().start().await else {
        return;
    };
    let mut writer = deployment.writer(&[0], "ann").await;
    let first_sent = writer.client().server_time_us();
    let published = writer.publish("chat.a", note(1)).await.unwrap();
    removed(&deployment, published.position.seq).await;
    for edge in [0, 1] {
        let mut session = again(&deployment, &writer, edge).await;
        let resend = Resend {
            n: published.n,
            first_sent,
        };
        assert_eq!(
            refusal(session.resend(resend, "chat.a", note(1)).await),
            ErrorCode::OutcomeUnknown
        );
    }
    // A new event is none of this.
    assert!(!writer.publish("chat.a", note(2)).await.unwrap().duplicate);
    deployment.check().await;
}
