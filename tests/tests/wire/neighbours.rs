//! Several frames in one message, some of them broken: each is answered by its id and
//! those behind it are served.

use harness::raw::Received;
use protocol::error_code::ErrorCode;
use protocol::frame::{
    Action, Command, Encoding, FRAMES_PER_MESSAGE_MAX, FromServer, Ping, encode,
};
use serde_json::{Value, json};

use super::mutate::publish;
use super::refusals::WINDOW;
use super::seen::Probe;

/// Frames that are delimited and cannot be read, with these ids.
fn broken() -> [(u64, Value); 5] {
    [
        (11, json!({ "id": 11, "fly": {} })),
        (
            24,
            json!({ "id": 24, "publish": { "channel": "chat.row", "n": "1", "data": 1 } }),
        ),
        (
            25,
            json!({ "id": 25, "publish": { "channel": "chat.row" } }),
        ),
        (
            26,
            json!({ "id": 26, "ping": {}, "surplus": [{ "id": 3 }] }),
        ),
        (0, json!([32, null, null, null, null, {}])),
    ]
}

async fn replies(probe: &mut Probe<'_>, message: &[u8], count: usize) -> Vec<FromServer> {
    let sent = probe.session.send_bytes(message).await;
    sent.expect("the session is open");
    let mut replies = Vec::new();
    while replies.len() < count {
        match probe.session.next().await {
            Received::Frame(frame) => replies.push(*frame),
            ended => panic!("{ended:?} after {replies:?}"),
        }
    }
    replies
}

/// One message of good and broken frames, and one of too many.
pub async fn provoke(probe: &mut Probe<'_>) {
    let encoding = probe.encoding;
    let write = |value: &Value| match encoding {
        Encoding::Json => serde_json::to_vec(value).expect("a value is JSON"),
        Encoding::Msgpack => rmp_serde::to_vec(value).expect("a value is MessagePack"),
    };
    let good = |id, action| encode(encoding, &Command::new(id, action)).to_vec();
    let mut message = good(10, Action::Ping(Ping {}));
    for (n, (_, value)) in (1..).zip(broken()) {
        message.extend(write(&value));
        let action = if n <= u64::from(WINDOW) {
            Action::Publish(publish(encoding, "chat.row", n, b"1"))
        } else {
            Action::Ping(Ping {})
        };
        message.extend(good(100 + n, action));
    }
    message.extend(good(12, Action::Ping(Ping {})));
    let ids: Vec<u64> = broken().iter().map(|(id, _)| *id).collect();
    let mut refused = Vec::new();
    let mut served = Vec::new();
    for reply in replies(probe, &message, 2 + 2 * ids.len()).await {
        let id = reply.id.expect("a reply has an id");
        match &reply.error {
            None => served.push(id),
            Some(_) => {
                let error = reply.error.as_ref();
                probe
                    .seen
                    .refusal("a broken neighbour", error, ErrorCode::BadFrame);
                refused.push(id);
            }
        }
    }
    served.sort_unstable();
    assert_eq!(refused, ids);
    assert_eq!(served, [10, 12, 101, 102, 103, 104, 105]);

    let mut message = good(
        300,
        Action::Publish(publish(encoding, "chat.row", 300, b"1")),
    );
    message.extend(good(13, Action::Ping(Ping {})).repeat(FRAMES_PER_MESSAGE_MAX));
    let reply = replies(probe, &message, 1).await.remove(0);
    probe.seen.refusal(
        "a frame too many",
        reply.error.as_ref(),
        ErrorCode::BadFrame,
    );
    assert_eq!(reply.id, Some(0));
    // None of it was served: the next reply is that of the next command.
    let sent = probe.session.send(Action::Ping(Ping {})).await;
    match probe.session.next().await {
        Received::Frame(frame) => assert_eq!(frame.id, sent.ok(), "{frame:?}"),
        ended => panic!("{ended:?}"),
    }
}
