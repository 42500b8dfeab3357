//! A subscriber that does not read: its outbox stays within its bound, nobody else
//! notices, it is complete when it reads again, and it is closed, to be resumed, when
//! it does not read for too long. Over a WebSocket, and over an event stream.

use checker::{Delivered, Subscription};
use harness::raw::Received;
use harness::wait::within;
use harness::{Deployment, RawSession, body_hash, until};
use protocol::close_code::CloseCode;
use protocol::frame::{Action, Encoding, Named, Payload, Start, Subscribe};
use protocol::stream::StreamName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::common::{EARLIEST, block, counter};

/// Bytes of the stalled client's receive buffer: what is not read shows soon.
const RECEIVE_BYTES: u32 = 4 * 1024;
/// Bytes of each event.
const EVENT_BYTES: usize = 32 * 1024;
/// Events: together far more than the outbox and what the systems buffer.
const EVENTS: u64 = 400;
/// The outbox: a few events.
const OUTBOX_BYTES: usize = 256 * 1024;

async fn deployment() -> Option<Deployment> {
    let builder = Deployment::builder()
        .processes()
        .without_mirror()
        .functions(&[])
        .workers(0)
        .edge_config(|_, config| {
            config.limits.data_bytes = 2 * EVENT_BYTES;
            config.limits.outbox_bytes = OUTBOX_BYTES;
        });
    builder.start().await
}

/// A session on the second node that has subscribed and then reads nothing.
async fn stalled(deployment: &Deployment) -> RawSession {
    let mut session = RawSession::open(
        deployment.edges[1].address(),
        Encoding::Json,
        Some(RECEIVE_BYTES),
    )
    .await
    .unwrap();
    session
        .connect(&deployment.token("slow"), "slow-1")
        .await
        .unwrap();
    let subscribe = Subscribe {
        from: Some(Start::Named(Named::Earliest)),
        ..Subscribe::new("chat.a")
    };
    let reply = session.ask(Action::Subscribe(subscribe)).await.unwrap();
    assert_eq!(reply.subscribe.expect("subscribed").after, 0);
    session
}

/// An event stream on the second node of which nothing is read.
async fn stalled_stream(deployment: &Deployment) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(RECEIVE_BYTES).unwrap();
    let mut stream = socket.connect(deployment.edges[1].address()).await.unwrap();
    let token = deployment.token("slow");
    let request = format!(
        "GET /v1/sse?channel=chat.a&from=earliest&access_token={token} HTTP/1.1\r\nHost: edge\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

async fn flood(deployment: &Deployment) {
    let mut ann = deployment.writer(&[0], "ann").await;
    for n in 0..EVENTS {
        ann.start("chat.a", block(n, EVENT_BYTES)).await.unwrap();
    }
    ann.settle_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_reads_again_is_complete_and_others_do_not_notice() {
    let Some(mut deployment) = deployment().await else {
        return;
    };
    let mut slow = stalled(&deployment).await;
    let brisk = deployment.follow(&[1], "joe", "chat.a", EARLIEST).await;
    // It reads again as soon as it was left behind: however slow the machine is, the
    // node has not given it up by then.
    let ((), until_seq) =
        tokio::join!(flood(&deployment), read_once_paused(&deployment, &mut slow));
    brisk.received(EVENTS as usize).await;
    deployment.recorder.record(Subscription {
        subscriber: "slow".into(),
        channel: "acme/chat.a".into(),
        stream: StreamName::events(deployment.store_name()).to_string(),
        from_seq: 0,
        until_seq,
        gaps: Vec::new(),
    });
    let report = deployment.check().await;
    assert_eq!(report.counts.deliveries_owed, 2 * EVENTS);
}

/// Waits until the node has paused the session's subscription, then reads and records
/// every event; the last one's sequence.
async fn read_once_paused(deployment: &Deployment, slow: &mut RawSession) -> u64 {
    until("its subscription is paused", async || {
        match counter(deployment, 1, "edge_lagging_total").await {
            0 => Err("it is not".to_owned()),
            _ => Ok(()),
        }
    })
    .await;
    let mut until_seq = 0;
    for _ in 0..EVENTS {
        let event = loop {
            match slow.next().await {
                Received::Frame(frame) if frame.event.is_some() => break frame.event.unwrap(),
                Received::Frame(frame) => {
                    assert!(frame.error.is_none() && frame.gap.is_none(), "{frame:?}")
                }
                ended => panic!("{ended:?}"),
            }
        };
        until_seq = event.seq;
        let Payload::Text(text) = &event.data else {
            panic!("json frames carry text")
        };
        deployment.recorder.record(Delivered {
            subscriber: "slow".into(),
            channel: "acme/chat.a".into(),
            seq: event.seq,
            prev: event.prev,
            body: body_hash(text.get().as_bytes()),
            id: event.id,
        });
    }
    until_seq
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_stalls_for_long_is_closed_and_resumes_elsewhere() {
    let Some(mut deployment) = deployment().await else {
        return;
    };
    let name = format!(
        "edge_closes_total{{code=\"{}\"}}",
        CloseCode::SlowConsumer.reason()
    );
    let mut slow = stalled(&deployment).await;
    let mut stream = stalled_stream(&deployment).await;
    flood(&deployment).await;
    until("the node gives both up", async || {
        match counter(&deployment, 1, &name).await {
            2 => Ok(()),
            given_up => Err(format!("{given_up}")),
        }
    })
    .await;
    // The stream's connection ends, with a part of what there is; it may be cut off.
    let mut read = Vec::new();
    let _ = within("the stream ends", stream.read_to_end(&mut read)).await;
    assert!(read.len() < EVENTS as usize * EVENT_BYTES);
    // The close itself comes only if it still found room.
    match slow.end().await {
        Received::Closed(code, _) => assert_eq!(code, CloseCode::SlowConsumer.number()),
        Received::Lost => {}
        Received::Frame(frame) => panic!("{frame:?}"),
    }
    let resumed = deployment.follow(&[0], "slow", "chat.a", EARLIEST).await;
    resumed.received(EVENTS as usize).await;
    let report = deployment.check().await;
    assert_eq!(report.counts.deliveries_owed, EVENTS);
}
