//! Commands of a connected session that are refused while the session goes on, each
//! with its code, in both encodings; limits in pairs of obeyed and violated.

use std::collections::BTreeMap;
use std::time::Duration;

use harness::Deployment;
use harness::raw::Received;
use protocol::error_code::ErrorCode::{self, *};
use protocol::frame::{
    Action, Command, Connect, Encoding, FRAMES_PER_MESSAGE_MAX, Named, Ping, Publish, PublishReply,
    Start, Subscribe, Unsubscribe, encode,
};
use protocol::position::{Epoch, Position};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::mutate::{payload, publish};
use super::refusals::{DATA_BYTES_MAX, SUBSCRIPTIONS_MAX, WINDOW};
use super::seen::{Probe, Seen};
use super::{depth, mounts, neighbours};

/// What the token of these sessions allows: the namespace `secret` is missing.
const SCOPES: [&str; 4] = [
    "publish:chat.>",
    "subscribe:chat.>",
    "publish:nowhere.>",
    "subscribe:nowhere.>",
];

/// Provokes every refusal of a connected session.
pub async fn provoke(deployment: &Deployment, encoding: Encoding, seen: &mut Seen) {
    let token = deployment.token_with("ann", &SCOPES, Duration::from_secs(600));
    let address = deployment.edges[0].address();
    let name = |part: &str| format!("{part}-{encoding:?}");
    let mut probe = Probe::connect(address, encoding, &token, &name("table"), seen).await;
    let stored = probe
        .accepted(
            "a publish",
            Action::Publish(publish(encoding, "chat.base", 1, b"{}")),
        )
        .await;
    let position = stored
        .publish
        .and_then(PublishReply::stored)
        .expect("it was stored")
        .position;
    for (what, action, code) in table(encoding, &token, &position) {
        probe.refused(&what, action, code).await;
    }
    probe.lives().await;
    limits_obeyed(&mut probe).await;
    depth::provoke(&mut probe).await;

    let mut probe = Probe::connect(address, encoding, &token, &name("counts"), seen).await;
    counts(&mut probe).await;
    let mut probe = Probe::connect(address, encoding, &token, &name("window"), seen).await;
    window(&mut probe).await;
    let mut probe = Probe::connect(address, encoding, &token, &name("frames"), seen).await;
    unreadable(&mut probe).await;
    let mut probe = Probe::connect(address, encoding, &token, &name("row"), seen).await;
    neighbours::provoke(&mut probe).await;
    let mut probe = Probe::connect(address, encoding, &token, &name("mounts"), seen).await;
    mounts::provoke(&mut probe).await;
}

fn subscribe(channel: &str, from: Option<Start>) -> Action {
    Action::Subscribe(Subscribe {
        from,
        ..Subscribe::new(channel)
    })
}

fn after(position: &Position, change: impl FnOnce(&mut Position)) -> Option<Start> {
    let mut position = position.clone();
    change(&mut position);
    Some(Start::After(position))
}

type Row = (String, Action, ErrorCode);

/// One command each, in any order, on one session.
fn table(encoding: Encoding, token: &str, position: &Position) -> Vec<Row> {
    let mut rows = channels(encoding);
    rows.extend(events(encoding));
    let connect = Connect::new(token, "again");
    let mut row = |what: &str, action, code| rows.push((what.to_owned(), action, code));
    row(
        "a second connect",
        Action::Connect(connect),
        AlreadyConnected,
    );
    row(
        "another epoch",
        subscribe(
            "chat.base",
            after(position, |p| p.epoch = Epoch::from_random(1)),
        ),
        PositionMismatch,
    );
    row(
        "another time",
        subscribe("chat.base", after(position, |p| p.time = Some(1))),
        PositionMismatch,
    );
    row(
        "a position past the end",
        subscribe("chat.base", after(position, |p| p.seq += 1_000_000)),
        PositionAhead,
    );
    row(
        "the last number",
        subscribe("chat.base", after(position, |p| p.seq = u64::MAX)),
        PositionAhead,
    );
    row(
        "a number of another event",
        Action::Publish(publish(encoding, "chat.base", 1, b"{\"other\":1}")),
        IdReused,
    );
    row(
        "a number of another channel",
        Action::Publish(publish(encoding, "chat.other", 1, b"{}")),
        IdReused,
    );
    for channel in ["chat.never", "not a channel", ""] {
        row(
            channel,
            Action::Unsubscribe(Unsubscribe {
                channel: channel.into(),
            }),
            NotSubscribed,
        );
    }
    rows
}

/// Texts that are no channels.
fn bad_channels() -> Vec<String> {
    let tokens = vec!["t"; 17].join(".");
    let (long, long_token) = (
        [
            "chat",
            &"x".repeat(64),
            &"y".repeat(64),
            &"z".repeat(64),
            "zz",
        ]
        .join("."),
        format!("chat.{}", "x".repeat(65)),
    );
    [
        "",
        ".",
        "chat.",
        ".chat",
        "chat..a",
        "chat.a b",
        "chat.*",
        "chat.>",
        "chat.ä",
        "chat.\r\n",
        &tokens,
        &long,
        &long_token,
    ]
    .map(String::from)
    .into()
}

/// Channels that are no names, reserved, not allowed or not configured.
fn channels(encoding: Encoding) -> Vec<Row> {
    let mut rows = Vec::new();
    for channel in bad_channels() {
        rows.push((
            format!("subscribe to {channel:?}"),
            subscribe(&channel, None),
            BadChannel,
        ));
        rows.push((
            format!("publish on {channel:?}"),
            Action::Publish(publish(encoding, &channel, 9, b"1")),
            BadChannel,
        ));
    }
    for channel in ["_outcome.ann.c1", "_system", "chat._hidden"] {
        rows.push((
            format!("publish on {channel}"),
            Action::Publish(publish(encoding, channel, 9, b"1")),
            BadChannel,
        ));
    }
    for channel in [
        "secret.a",
        "_outcome.eve.c1.chat",
        "_outcome.ann.c1",
        "_system",
    ] {
        rows.push((
            format!("subscribe to {channel}"),
            subscribe(channel, None),
            Forbidden,
        ));
    }
    rows.push((
        "publish on secret.a".into(),
        Action::Publish(publish(encoding, "secret.a", 9, b"1")),
        Forbidden,
    ));
    rows.push((
        "subscribe nowhere".into(),
        subscribe("nowhere.a", Some(Start::Named(Named::Earliest))),
        UnknownNamespace,
    ));
    rows.push((
        "publish nowhere".into(),
        Action::Publish(publish(encoding, "nowhere.a", 9, b"1")),
        UnknownNamespace,
    ));
    rows
}

/// Events whose data, headers or content type are no good.
fn events(encoding: Encoding) -> Vec<Row> {
    let typed = |content_type: &str, data| Publish {
        content_type: Some(content_type.into()),
        data,
        ..publish(encoding, "chat.a", 9, b"1")
    };
    let with = |headers: BTreeMap<String, String>| Publish {
        headers,
        ..publish(encoding, "chat.a", 9, b"1")
    };
    let header =
        |name: &str, value: &str| with(BTreeMap::from([(name.to_owned(), value.to_owned())]));
    // What an encoding can carry wrongly: JSON what is no base64, MessagePack what is no JSON.
    let misfit = match encoding {
        Encoding::Json => typed("text/plain", payload(encoding, b"12", true)),
        Encoding::Msgpack => publish(encoding, "chat.a", 9, b"{no json"),
    };
    let long = format!("\"{}\"", "x".repeat(DATA_BYTES_MAX - 1));
    let rows = [
        ("data that does not fit its type", misfit, BadData),
        (
            "data over its limit",
            publish(encoding, "chat.a", 9, long.as_bytes()),
            DataTooLarge,
        ),
        (
            "an empty content type",
            typed("", payload(encoding, b"x", false)),
            BadHeader,
        ),
        (
            "a content type that is not ASCII",
            typed("text/plän", payload(encoding, b"x", false)),
            BadHeader,
        ),
        (
            "a long content type",
            typed(&"x".repeat(5_000), payload(encoding, b"x", false)),
            BadHeader,
        ),
        ("a header in capitals", header("Room", "a"), BadHeader),
        ("a header without name", header("", "a"), BadHeader),
        (
            "a header of the server",
            header("Nats-Msg-Id", "a"),
            BadHeader,
        ),
        (
            "a header with a line break",
            header("room", "a\r\nb: c"),
            BadHeader,
        ),
        (
            "a long header name",
            header(&"r".repeat(65), "a"),
            BadHeader,
        ),
        (
            "a long header value",
            header("room", &"a".repeat(1_025)),
            BadHeader,
        ),
        ("too many headers", with(headers(17)), BadHeader),
    ];
    rows.into_iter()
        .map(|(what, body, code)| (what.to_owned(), Action::Publish(body), code))
        .collect()
}

fn headers(count: usize) -> BTreeMap<String, String> {
    (0..count)
        .map(|n| (format!("h{n}"), "v".repeat(10)))
        .collect()
}

/// The same limits, just not passed.
async fn limits_obeyed(probe: &mut Probe<'_>) {
    let encoding = probe.encoding;
    let full = format!("\"{}\"", "x".repeat(DATA_BYTES_MAX - 2));
    probe
        .accepted(
            "data at its limit",
            Action::Publish(publish(encoding, "chat.a", 20, full.as_bytes())),
        )
        .await;
    let full = Publish {
        headers: headers(16),
        ..publish(encoding, "chat.a", 21, b"1")
    };
    probe
        .accepted("as many headers as allowed", Action::Publish(full))
        .await;
    let value = BTreeMap::from([("r".repeat(64), "v".repeat(1_024))]);
    let full = Publish {
        headers: value,
        ..publish(encoding, "chat.a", 22, b"1")
    };
    probe
        .accepted("a header at its limits", Action::Publish(full))
        .await;
    let own = format!("_outcome.ann.table-{encoding:?}.chat");
    probe
        .accepted("the own outcome channel", subscribe(&own, None))
        .await;
    let whole =
        encode(encoding, &Command::new(77, Action::Ping(Ping {}))).repeat(FRAMES_PER_MESSAGE_MAX);
    probe
        .session
        .send_bytes(&whole)
        .await
        .expect("the session is open");
    for _ in 0..FRAMES_PER_MESSAGE_MAX {
        match probe.session.next().await {
            Received::Frame(frame) => assert!(frame.ping.is_some(), "{frame:?}"),
            ended => panic!("{ended:?}"),
        }
    }
}

/// Subscriptions: twice to one channel, and more than allowed.
async fn counts(probe: &mut Probe<'_>) {
    for n in 0..SUBSCRIPTIONS_MAX {
        probe
            .accepted(
                "a subscription within the limit",
                subscribe(&format!("chat.c{n}"), None),
            )
            .await;
    }
    probe
        .refused(
            "the same channel twice",
            subscribe("chat.c0", None),
            AlreadySubscribed,
        )
        .await;
    probe
        .refused(
            "one subscription more",
            subscribe("chat.more", None),
            TooManySubscriptions,
        )
        .await;
    probe
        .accepted(
            "unsubscribe",
            Action::Unsubscribe(Unsubscribe {
                channel: "chat.c0".into(),
            }),
        )
        .await;
    probe
        .accepted("room again", subscribe("chat.more", None))
        .await;
}

/// A session decides all commands of one message before it looks at answers, so a
/// message with one publish more than the window holds passes it for certain.
async fn window(probe: &mut Probe<'_>) {
    let encoding = probe.encoding;
    let command = |n: u64| {
        encode(
            encoding,
            &Command::new(
                1_000 + n,
                Action::Publish(publish(encoding, "chat.w", n, b"1")),
            ),
        )
    };
    let message: Vec<u8> = (1..=u64::from(WINDOW) + 1)
        .flat_map(|n| command(n).to_vec())
        .collect();
    probe
        .session
        .send_bytes(&message)
        .await
        .expect("the session is open");
    for _ in 0..=WINDOW {
        match probe.session.next().await {
            Received::Frame(frame) if frame.id == Some(1_001 + u64::from(WINDOW)) => {
                probe.seen.refusal(
                    "one publish more than the window",
                    frame.error.as_ref(),
                    WindowExceeded,
                );
            }
            Received::Frame(frame) => assert!(frame.publish.is_some(), "{frame:?}"),
            ended => panic!("{ended:?}"),
        }
    }
    let (left_out, next) = (u64::from(WINDOW) + 1, u64::from(WINDOW) + 2);
    let later = |n| Action::Publish(publish(encoding, "chat.w", n, b"1"));
    probe
        .refused(
            "an event after one that was refused",
            later(next),
            EarlierRefused,
        )
        .await;
    probe
        .accepted("the refused one again", later(left_out))
        .await;
    probe.accepted("the later one again", later(next)).await;
}

/// Frames that cannot be read; fewer than a session may send.
async fn unreadable(probe: &mut Probe<'_>) {
    let write = |value: &Value| match probe.encoding {
        Encoding::Json => serde_json::to_vec(value).expect("a value is JSON"),
        Encoding::Msgpack => rmp_serde::to_vec(value).expect("a value is MessagePack"),
    };
    let rows = [
        ("no action", write(&json!({ "id": 1 }))),
        (
            "two actions",
            write(&json!({ "id": 1, "ping": {}, "unsubscribe": { "channel": "chat.a" } })),
        ),
        (
            "an unknown key",
            write(&json!({ "id": 1, "ping": {}, "surplus": 1 })),
        ),
        (
            "an unknown key within",
            write(&json!({ "id": 1, "ping": { "surplus": 1 } })),
        ),
        (
            "an id of another type",
            write(&json!({ "id": "1", "ping": {} })),
        ),
        ("no frame", b"\"A".to_vec()),
        (
            "half a frame",
            encode(probe.encoding, &Command::new(1, Action::Ping(Ping {})))[..4].to_vec(),
        ),
        (
            "too many frames",
            encode(probe.encoding, &Command::new(1, Action::Ping(Ping {})))
                .repeat(FRAMES_PER_MESSAGE_MAX + 1),
        ),
    ];
    for (what, bytes) in rows {
        probe.unreadable(what, &bytes).await;
    }
    let wrong_kind = match probe.encoding {
        Encoding::Json => Message::binary(&b"{\"id\":1,\"ping\":{}}"[..]),
        Encoding::Msgpack => Message::text("x"),
    };
    probe
        .session
        .send_message(wrong_kind)
        .await
        .expect("the session is open");
    match probe.session.next().await {
        Received::Frame(frame) => {
            probe
                .seen
                .refusal("the other kind of message", frame.error.as_ref(), BadFrame)
        }
        ended => panic!("{ended:?}"),
    }
    probe.lives().await;
}
