//! Ephemeral events without a gate: passed on to whoever listens on any node, stored
//! nowhere, refused where the namespace does not allow them, and dropped with a word when a
//! client takes too few.

use std::num::NonZeroU64;

use control::{Deployer, NamespaceDraft};
use harness::raw::Received;
use harness::{Deployment, RawSession, until};
use protocol::class::{Class, Classes};
use protocol::error_code::ErrorCode;
use protocol::frame::{Action, Encoding, Ephemeral, FromServer, Publish, PublishReply, Subscribe};
use protocol::name::{FunctionName, Namespace};
use protocol::stream::StreamName;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::mutate::publish;
use super::seen::{Probe, Seen};

/// Bytes of a stalled client's receive buffer: what is not read shows soon.
const RECEIVE_BYTES: u32 = 4 * 1024;
/// Bytes of each event for it.
const EVENT_BYTES: usize = 32 * 1024;
/// The header by which `stats` conflates.
const KEY: &str = "who";
/// Events for it: together more than the systems buffer.
const EVENTS: u64 = 400;
/// The last of them have a key.
const KEYED: u64 = 50;

/// Sets the classes of a namespace, made directly or behind the gate that it has; `stats`
/// conflates.
pub async fn allow(deployment: &Deployment, namespace: &str, classes: &[Class]) {
    let gate = (namespace == "doc").then(|| FunctionName::parse("document-gate").unwrap());
    let name = Namespace::parse(namespace).unwrap();
    let draft = NamespaceDraft {
        classes: Some(Classes::of(classes).unwrap()),
        conflate: (namespace == "stats").then(|| KEY.to_owned()),
        ..NamespaceDraft::new(name, deployment.store_name().clone(), gate)
    };
    let deployer = Deployer::new(&deployment.bus, "tester");
    deployer.apply_namespace(draft).await.unwrap();
}

fn ephemeral(encoding: Encoding, channel: &str, n: u64, data: &[u8]) -> Action {
    Action::Publish(Publish {
        class: Class::Ephemeral,
        ..publish(encoding, channel, n, data)
    })
}

fn subscribe(channel: &str, echo: bool) -> Action {
    Action::Subscribe(Subscribe {
        echo,
        ..Subscribe::new(channel)
    })
}

/// Provokes the refusals of ephemeral events that need no worker. `doc` allows them, and its
/// gate is not deployed.
pub async fn provoke(deployment: &Deployment, encoding: Encoding, seen: &mut Seen) {
    let (address, token) = (deployment.edges[0].address(), deployment.token("ann"));
    let client = format!("ephemeral-{encoding:?}");
    let mut probe = Probe::connect(address, encoding, &token, &client, seen).await;
    let action = ephemeral(encoding, "chat.a", 1, b"1");
    probe
        .refused("a class elsewhere", action, ErrorCode::ClassRefused)
        .await;
    until("the node has heard of the classes", async || {
        let reply = probe
            .ask("no gate", ephemeral(encoding, "doc.a", 1, b"1"))
            .await;
        match reply.error {
            Some(error) if error.code == ErrorCode::ClassRefused => Err(error.message),
            _ => Ok(()),
        }
    })
    .await;
    let action = ephemeral(encoding, "doc.a", 2, b"1");
    probe
        .refused(
            "a gate that is not deployed",
            action,
            ErrorCode::GateUnavailable,
        )
        .await;
    let resent = Publish {
        class: Class::Ephemeral,
        first_sent: Some(1),
        ..publish(encoding, "doc.a", 2, b"1")
    };
    let action = Action::Publish(resent);
    probe
        .refused("a resend of one", action, ErrorCode::BadFrame)
        .await;
    let expecting = Publish {
        class: Class::Ephemeral,
        expected_seq: Some(1),
        ..publish(encoding, "doc.a", 2, b"1")
    };
    let action = Action::Publish(expecting);
    probe
        .refused("one that expects a sequence", action, ErrorCode::BadFrame)
        .await;
}

/// A session of ann's.
pub async fn session(
    deployment: &Deployment,
    edge: usize,
    encoding: Encoding,
    client: &str,
) -> RawSession {
    let address = deployment.edges[edge].address();
    let mut session = RawSession::open(address, encoding, None).await.unwrap();
    let token = deployment.token("ann");
    session.connect(&token, client).await.unwrap();
    session
}

async fn accepted(session: &mut RawSession, action: Action) -> FromServer {
    let reply = session.ask(action).await.unwrap();
    assert_eq!(reply.error, None);
    reply
}

/// Publishes until the node has heard that it may.
async fn passed(session: &mut RawSession, action: Action) {
    until("the node passes it on", async || {
        let reply = session.ask(action.clone()).await.unwrap();
        match (reply.publish, reply.error) {
            (Some(PublishReply::PassedOn(passed)), _) => {
                assert_eq!((passed.class, passed.dropped), (Class::Ephemeral, None));
                Ok(())
            }
            (_, Some(error)) if error.code == ErrorCode::ClassRefused => Err(error.message),
            other => panic!("{other:?}"),
        }
    })
    .await;
}

/// The next ephemeral event.
async fn next(session: &mut RawSession) -> Ephemeral {
    loop {
        match session.next().await {
            Received::Frame(frame) => match frame.ephemeral {
                Some(event) => return event,
                None => assert!(
                    frame.dropped.is_none() && frame.event.is_none(),
                    "{frame:?}"
                ),
            },
            ended => panic!("{ended:?}"),
        }
    }
}

fn data(event: Ephemeral) -> String {
    let bytes = event.data.into_bytes(true).unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn builder() -> harness::Builder {
    let builder = Deployment::builder().without_mirror().functions(&[]);
    builder.workers(0).edges(2).edge_config(|_, config| {
        config.limits.data_bytes = 2 * EVENT_BYTES;
        config.limits.message_bytes = 4 * EVENT_BYTES;
        config.limits.outbox_bytes = 8 * EVENT_BYTES;
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ephemeral_events_reach_who_listens_and_no_stream() {
    let Some(mut deployment) = builder().start().await else {
        return;
    };
    let mut near = session(&deployment, 0, Encoding::Json, "near").await;
    let mut far = session(&deployment, 1, Encoding::Msgpack, "far").await;
    // Of a namespace that allows them later: whoever is there gets them from then on.
    accepted(&mut near, subscribe("chat.a", false)).await;
    accepted(&mut far, subscribe("chat.a", true)).await;
    allow(&deployment, "chat", &[Class::Durable, Class::Ephemeral]).await;
    let both = [Encoding::Json, Encoding::Msgpack];
    passed(&mut near, ephemeral(both[0], "chat.a", 1, b"[1]")).await;
    passed(&mut far, ephemeral(both[1], "chat.a", 1, b"[2]")).await;
    passing(&mut near, &mut far).await;
    not_stored(&deployment, &mut near).await;
    over_http(&deployment, &mut far).await;
    // What is allowed no more is refused.
    allow(&deployment, "chat", &[Class::Ephemeral]).await;
    until("the node has heard that nothing is stored", async || {
        let reply = near.ask(Action::Publish(publish(both[0], "chat.a", 91, b"1")));
        match reply.await.unwrap().error {
            Some(error) if error.code == ErrorCode::ClassRefused => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    stalled(&deployment).await;
    deployment.stop().await;
}

/// Each hears the other, on another node and in another encoding, and one of them itself.
async fn passing(near: &mut RawSession, far: &mut RawSession) {
    let encodings = [Encoding::Json, Encoding::Msgpack];
    // Both nodes may have begun to listen a moment after they began to pass on.
    let mut n = 10;
    until("both are heard by the other", async || {
        n += 1;
        let text = format!("[\"near\",{n}]");
        accepted(near, ephemeral(encodings[0], "chat.a", n, text.as_bytes())).await;
        let text = format!("[\"far\",{n}]");
        accepted(far, ephemeral(encodings[1], "chat.a", n, text.as_bytes())).await;
        // Its own comes back to this one in any case, once its node listens.
        let heard = tokio::time::timeout(std::time::Duration::from_millis(200), next(far)).await;
        heard.map(drop).map_err(|_| "nothing came".to_owned())
    })
    .await;
    accepted(
        near,
        ephemeral(encodings[0], "chat.a", 50, b"[\"near\",50]"),
    )
    .await;
    accepted(far, ephemeral(encodings[1], "chat.a", 50, b"[\"far\",50]")).await;
    let (mut own, mut other) = (false, false);
    while !(own && other) {
        let event = next(far).await;
        assert!(
            event.time > 0 && event.user.as_deref() == Some("ann"),
            "{event:?}"
        );
        match (event.id.as_str(), event.client.as_deref()) {
            ("acme/ann/far/50", Some("far")) => own = true,
            ("acme/ann/near/50", Some("near")) => other = true,
            _ => {}
        }
    }
    // It wants none of its own.
    loop {
        let event = next(near).await;
        assert_eq!(event.client.as_deref(), Some("far"), "its own came back");
        if data(event) == "[\"far\",50]" {
            return;
        }
    }
}

/// Nothing of it is in a stream, and a durable event beside it is.
async fn not_stored(deployment: &Deployment, session: &mut RawSession) {
    let events = StreamName::events(deployment.store_name());
    let before = deployment.bus.stream_state(&events).await.unwrap().last_seq;
    accepted(session, ephemeral(Encoding::Json, "chat.a", 60, b"1")).await;
    let durable = Action::Publish(publish(Encoding::Json, "chat.a", 61, b"1"));
    let stored = accepted(session, durable).await.publish;
    let stored = stored.and_then(PublishReply::stored).expect("it is stored");
    assert_eq!(stored.position.seq, before + 1);
}

/// A request's events reach the same subscribers.
async fn over_http(deployment: &Deployment, far: &mut RawSession) {
    let body = json!({"channel": "chat.a", "class": "ephemeral", "data": ["http"], "client": "shop", "n": 7});
    let body = body.to_string();
    let token = deployment.token("ann");
    let request = format!(
        "POST /v1/publish HTTP/1.1\r\nHost: edge\r\nConnection: close\r\nAuthorization: Bearer {token}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(deployment.edges[0].address())
        .await
        .unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let told = r#"{"publish":{"n":7,"class":"ephemeral"}}"#;
    assert!(answer.ends_with(told), "{answer}");
    loop {
        match far.next().await {
            Received::Frame(frame) => {
                if frame
                    .ephemeral
                    .is_some_and(|event| event.id == "acme/ann/shop/7")
                {
                    return;
                }
            }
            ended => panic!("{ended:?}"),
        }
    }
}

/// Who reads nothing for a while gets the newest, of those with a key of each, and is told how
/// many it has missed; what is stored is not among them.
async fn stalled(deployment: &Deployment) {
    allow(deployment, "stats", &[Class::Durable, Class::Ephemeral]).await;
    let mut ann = session(deployment, 0, Encoding::Json, "flood").await;
    passed(&mut ann, ephemeral(Encoding::Json, "stats.a", 1, b"0")).await;
    let address = deployment.edges[0].address();
    let mut slow = RawSession::open(address, Encoding::Json, Some(RECEIVE_BYTES))
        .await
        .unwrap();
    let token = deployment.token("ann");
    slow.connect(&token, "slow").await.unwrap();
    accepted(&mut slow, subscribe("stats.a", true)).await;
    let text = format!("\"{}\"", "x".repeat(EVENT_BYTES));
    for n in 2..EVENTS + 2 {
        let mut event = Publish {
            class: Class::Ephemeral,
            ..publish(Encoding::Json, "stats.a", n, text.as_bytes())
        };
        if n > EVENTS - KEYED {
            event.headers.insert(KEY.into(), "ann".into());
        }
        accepted(&mut ann, Action::Publish(event)).await;
    }
    let durable = Action::Publish(publish(Encoding::Json, "stats.a", EVENTS + 2, b"1"));
    accepted(&mut ann, durable).await;
    let (mut received, mut dropped, mut conflated, mut stored) = (0, 0, 0, false);
    while received + dropped + conflated < EVENTS || !stored {
        let Received::Frame(frame) = slow.next().await else {
            panic!("{received} received, {dropped} dropped, {conflated} conflated, {stored}");
        };
        received += u64::from(frame.ephemeral.is_some());
        conflated += frame.ephemeral.as_ref().map_or(0, |event| event.conflated);
        stored |= frame.event.is_some();
        if let Some(told) = frame.dropped {
            assert_eq!(told.channel, "stats.a");
            dropped += NonZeroU64::new(told.count).expect("some were").get();
        }
    }
    assert!(dropped > 0, "all {received} found room");
    assert!(conflated > 0, "each of a key was sent");
    assert_eq!(received + dropped + conflated, EVENTS);
}
