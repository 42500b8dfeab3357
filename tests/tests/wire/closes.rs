//! Sessions that the node closes, each with its code and reason.

use std::time::Duration;

use futures_util::FutureExt;
use harness::raw::Received;
use harness::{Deployment, RawSession, wait};
use protocol::close_code::CloseCode;
use protocol::error_code::ErrorCode;
use protocol::frame::{Action, Command, Connect, Encoding, Ping, Subscribe, encode};
use protocol::position::Epoch;
use protocol::spec::{StoreSpec, key};
use protocol::stream::Bucket;
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode as Number;

use super::refusals::{BAD_FRAMES_MAX, HURRIED, MESSAGE_BYTES_MAX, PATIENT};
use super::seen::Seen;
use super::socket::{self, Got, Reader, TEXT, frame};

/// Life of a token that ends during its session: exact to the second.
const SHORT_TOKEN: Duration = Duration::from_secs(2);

/// Between two bytes of a slow message.
const BETWEEN_BYTES: Duration = Duration::from_millis(50);

async fn close_of(reader: &mut Reader) -> Received {
    let closed = async {
        loop {
            match reader.next().await {
                Got::Close(code, reason) => return Received::Closed(code, reason),
                Got::End => return Received::Lost,
                Got::Message(_) | Got::Ping | Got::Pong(_) => {}
            }
        }
    };
    wait::within("the node closes", closed).await
}

async fn session(
    deployment: &Deployment,
    edge: usize,
    encoding: Encoding,
    token: &str,
) -> RawSession {
    let address = deployment.edges[edge].address();
    let mut session = RawSession::open(address, encoding, None)
        .await
        .expect("the node takes connections");
    session
        .connect(token, "closes")
        .await
        .expect("a valid token");
    session
}

/// Closes that depend on the encoding.
pub async fn provoke(deployment: &Deployment, encoding: Encoding, seen: &mut Seen) {
    let token = deployment.token("ann");
    too_large(deployment, encoding, seen).await;
    bad_frames(deployment, encoding, seen).await;

    let mut client = session(deployment, PATIENT, encoding, &token).await;
    let frame = CloseFrame {
        code: Number::Normal,
        reason: "normal".into(),
    };
    client
        .send_message(Message::Close(Some(frame)))
        .await
        .expect("the session is open");
    seen.close("the client closes", &client.end().await, CloseCode::Normal);

    let short = deployment.token_with("ann", &["publish:>"], SHORT_TOKEN);
    let mut client = session(deployment, HURRIED, encoding, &short).await;
    seen.close(
        "the token ends",
        &client.end().await,
        CloseCode::TokenExpired,
    );
}

async fn too_large(deployment: &Deployment, encoding: Encoding, seen: &mut Seen) {
    let mut client = session(deployment, PATIENT, encoding, &deployment.token("ann")).await;
    let ping = encode(encoding, &Command::new(5, Action::Ping(Ping {})));
    if encoding == Encoding::Json {
        // White space stands between frames; only JSON has any.
        let mut full = vec![b' '; MESSAGE_BYTES_MAX - ping.len()];
        full.extend_from_slice(&ping);
        client.send_bytes(&full).await.expect("the session is open");
        let Received::Frame(pong) = client.next().await else {
            panic!("a message at the limit is taken")
        };
        assert!(pong.ping.is_some(), "{pong:?}");
    }
    // The node may close while we are still writing.
    let _ = client.send_bytes(&vec![b' '; MESSAGE_BYTES_MAX + 1]).await;
    seen.close(
        "a message over the limit",
        &client.end().await,
        CloseCode::TooLarge,
    );
}

async fn bad_frames(deployment: &Deployment, encoding: Encoding, seen: &mut Seen) {
    let mut client = session(deployment, PATIENT, encoding, &deployment.token("ann")).await;
    for n in 1..=BAD_FRAMES_MAX {
        client.send_bytes(b"]").await.expect("the session is open");
        let Received::Frame(frame) = client.next().await else {
            panic!("the session ends with frame {n}")
        };
        seen.refusal(
            "an unreadable frame",
            frame.error.as_ref(),
            ErrorCode::BadFrame,
        );
    }
    assert!(
        client
            .ask(Action::Ping(Ping {}))
            .await
            .expect("the session goes on")
            .ping
            .is_some()
    );
    client.send_bytes(b"]").await.expect("the session is open");
    seen.close(
        "one unreadable frame more",
        &client.end().await,
        CloseCode::BadFrames,
    );
}

/// Closes of connections that are no proper sessions.
pub async fn provoke_bare(deployment: &Deployment, seen: &mut Seen) {
    for protocol in [None, Some("eddyline.v9.json"), Some("chat, graphql-ws")] {
        let (mut reader, _writer) = bare(deployment, PATIENT, protocol).await;
        seen.close(
            "an unknown sub-protocol",
            &close_of(&mut reader).await,
            CloseCode::UnknownProtocol,
        );
    }
    let (mut reader, _writer) = bare(deployment, HURRIED, Some(Encoding::Json.protocol())).await;
    seen.close(
        "no connect",
        &close_of(&mut reader).await,
        CloseCode::HandshakeTimeout,
    );

    // Written by hand, so that nothing answers the node's pings.
    let (mut reader, mut writer) = bare(deployment, HURRIED, Some(Encoding::Json.protocol())).await;
    let connect = Connect::new(deployment.token("ann"), "idle");
    let connect = encode(Encoding::Json, &Command::new(1, Action::Connect(connect)));
    writer
        .write_all(&frame(TEXT, &connect, Some([1, 2, 3, 4])))
        .await
        .expect("the connection stands");
    seen.close(
        "nothing comes",
        &close_of(&mut reader).await,
        CloseCode::Idle,
    );

    slow_message(deployment, seen).await;
}

/// A message that comes byte by byte and never ends: it is a sign of life for longer
/// than silence may last, and not for ever.
async fn slow_message(deployment: &Deployment, seen: &mut Seen) {
    let (mut reader, mut writer) = bare(deployment, HURRIED, Some(Encoding::Json.protocol())).await;
    let connect = Connect::new(deployment.token("ann"), "slow");
    let connect = encode(Encoding::Json, &Command::new(1, Action::Connect(connect)));
    let mut bytes = frame(TEXT, &connect, Some([1, 2, 3, 4]));
    bytes.extend(&frame(TEXT, &vec![b' '; MESSAGE_BYTES_MAX], Some([0; 4]))[..8]);
    let dripping = async {
        writer.write_all(&bytes).await?;
        loop {
            tokio::time::sleep(BETWEEN_BYTES).await;
            writer.write_all(b" ").await?;
        }
    };
    let end = tokio::select! {
        end = close_of(&mut reader) => end,
        broken = dripping => {
            let broken: std::io::Result<()> = broken;
            panic!("the node did not close: {broken:?}")
        }
    };
    seen.close("a message without an end", &end, CloseCode::MessageTimeout);
}

async fn bare(
    deployment: &Deployment,
    edge: usize,
    protocol: Option<&str>,
) -> (Reader, tokio::net::tcp::OwnedWriteHalf) {
    let address = deployment.edges[edge].address();
    socket::open(address, protocol)
        .await
        .expect("the node takes connections")
}

/// The store begins another life under a subscriber.
pub async fn provoke_epoch(deployment: &Deployment, seen: &mut Seen) {
    let mut client = session(
        deployment,
        PATIENT,
        Encoding::Json,
        &deployment.token("ann"),
    )
    .await;
    let subscribe = Subscribe::new("chat.life");
    let reply = client
        .ask(Action::Subscribe(subscribe))
        .await
        .expect("the session goes on");
    assert!(reply.subscribe.is_some(), "{reply:?}");
    let spec = StoreSpec {
        epoch: Epoch::from_random(0xbeef),
        ..deployment.store.clone()
    };
    let config = deployment
        .bus
        .kv(Bucket::Config)
        .await
        .expect("the bucket is there");
    let json = serde_json::to_vec(&spec).expect("a spec is JSON");
    config
        .put(&key::store(&spec.name), json.into())
        .await
        .expect("the bucket can be written");
    seen.close(
        "another epoch",
        &client.end().await,
        CloseCode::EpochChanged,
    );
}

/// The node restarts: it says so, then closes.
pub async fn provoke_restart(deployment: &mut Deployment, seen: &mut Seen) {
    let mut client = session(
        deployment,
        PATIENT,
        Encoding::Msgpack,
        &deployment.token("ann"),
    )
    .await;
    let watching = async {
        let Received::Frame(first) = client.next().await else {
            panic!("the node says that it goes away")
        };
        assert!(first.going_away.is_some(), "{first:?}");
        client.end().await
    };
    let ((), end) = tokio::join!(deployment.edges[PATIENT].stop(), watching.boxed());
    seen.close("a restart", &end, CloseCode::Restart);
}
