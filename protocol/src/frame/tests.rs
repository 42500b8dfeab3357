use std::collections::BTreeMap;

use bytes::Bytes;
use expect_test::expect;
use proptest::prelude::*;

use super::*;
use crate::error_code::ErrorCode;
use crate::position::{Epoch, Position};

fn json(frame: &impl serde::Serialize) -> String {
    String::from_utf8(encode(Encoding::Json, frame).to_vec()).unwrap()
}

#[test]
fn json_data_is_carried_as_it_was_written() {
    let text = br#"{"id":3,"publish":{"channel":"doc.1","n":7,"data":{"b": 1.0,  "a":[]}}}"#;
    let (commands, error) = decode_commands(Encoding::Json, text);
    assert_eq!(error, None);
    let Some((3, Action::Publish(publish))) = commands[0].clone().into_action() else {
        panic!("{commands:?}")
    };
    assert_eq!(
        publish.data.into_bytes(true).unwrap(),
        Bytes::from_static(br#"{"b": 1.0,  "a":[]}"#)
    );
}

#[test]
fn other_data_is_base64_in_json_and_bytes_in_messagepack() {
    let data = Bytes::from_static(&[0, 255, 7]);
    assert_eq!(
        Payload::for_json(&data, false).into_bytes(false).unwrap(),
        data
    );
    assert_eq!(
        Payload::Bytes(data.clone()).into_bytes(false).unwrap(),
        data
    );
    assert_eq!(
        Payload::Bytes(Bytes::from_static(b"{")).into_bytes(true),
        None
    );
}

#[test]
fn replies_and_pushes_read_as_documented() {
    let reply = Reply {
        id: 3,
        outcome: Outcome::Publish(Published {
            n: 7,
            stored_in: StoredIn::Ingress,
            position: Position {
                epoch: Epoch::parse("0a1b").unwrap(),
                seq: 12,
                time: None,
            },
            duplicate: false,
        }),
    };
    expect![[r#"{"id":3,"publish":{"n":7,"stored_in":"ingress","position":{"epoch":"0a1b","seq":12},"duplicate":false}}"#]]
        .assert_eq(&json(&reply));
    let refusal = Reply {
        id: 4,
        outcome: Outcome::Error(ErrorBody::new(ErrorCode::Forbidden, "no scope")),
    };
    expect![[r#"{"id":4,"error":{"code":"forbidden","message":"no scope","temporary":false}}"#]]
        .assert_eq(&json(&refusal));
    let push = Push::Gap(Gap {
        channel: "doc.1".into(),
        from: 1,
        to: 9,
        reason: GapReason::Retention,
    });
    expect![[r#"{"gap":{"channel":"doc.1","from":1,"to":9,"reason":"retention"}}"#]]
        .assert_eq(&json(&push));
}

#[test]
fn a_broken_frame_does_not_take_its_predecessors_along() {
    let (commands, error) = decode_commands(Encoding::Json, b"{\"id\":1,\"ping\":{}}\n{\"id\":2,");
    assert_eq!(commands.len(), 1);
    assert!(matches!(error, Some(DecodeError::Malformed(_))));
    let (commands, error) = decode_commands(Encoding::Json, br#"{"id":1,"fly":{}}"#);
    assert!(commands.is_empty() && error.is_some());
    let both = Command {
        id: 1,
        ping: Some(Ping {}),
        unsubscribe: Some(Unsubscribe {
            channel: "a".into(),
        }),
        ..Command::default()
    };
    assert_eq!(both.into_action(), None);
}

#[test]
fn frames_per_message_within_and_beyond_the_limit() {
    let ping = encode(Encoding::Json, &Command::new(1, Action::Ping(Ping {})));
    let (commands, error) = decode_commands(Encoding::Json, &ping.repeat(FRAMES_PER_MESSAGE_MAX));
    assert_eq!((commands.len(), error), (FRAMES_PER_MESSAGE_MAX, None));
    let (commands, error) =
        decode_commands(Encoding::Json, &ping.repeat(FRAMES_PER_MESSAGE_MAX + 1));
    assert_eq!(
        (commands.len(), error),
        (FRAMES_PER_MESSAGE_MAX, Some(DecodeError::TooMany))
    );
}

fn commands() -> impl Strategy<Value = Command> {
    let position = (0u64..1 << 50, proptest::option::of(0u64..1 << 50)).prop_map(|(seq, time)| {
        Start::After(Position {
            epoch: Epoch::from_random(seq),
            seq,
            time,
        })
    });
    let start = prop_oneof![
        Just(Start::Named(Named::Earliest)),
        Just(Start::Named(Named::Now)),
        position
    ];
    let action = prop_oneof![
        (".{0,30}", "[a-z]{1,9}")
            .prop_map(|(token, client)| Action::Connect(Connect { token, client })),
        (".{0,30}", proptest::option::of(start))
            .prop_map(|(channel, from)| Action::Subscribe(Subscribe { channel, from })),
        ".{0,30}".prop_map(|channel| Action::Unsubscribe(Unsubscribe { channel })),
        (
            ".{0,30}",
            any::<u64>(),
            proptest::collection::vec(any::<u8>(), 0..50),
            proptest::option::of(any::<u64>())
        )
            .prop_map(|(channel, n, data, first_sent)| Action::Publish(Publish {
                channel,
                n,
                data: Payload::Bytes(data.into()),
                content_type: Some("application/octet-stream".into()),
                headers: BTreeMap::from([("a".into(), "b".into())]),
                first_sent,
            })),
        Just(Action::Ping(Ping {})),
    ];
    (any::<u64>(), action).prop_map(|(id, action)| Command::new(id, action))
}

/// The same command with its payload prepared for the encoding.
fn prepared(mut command: Command, encoding: Encoding) -> Command {
    if let (Some(publish), Encoding::Json) = (&mut command.publish, encoding) {
        publish.data = Payload::for_json(&publish.data.clone().into_bytes(false).unwrap(), false);
    }
    command
}

proptest! {
    #[test]
    fn commands_round_trip(commands in proptest::collection::vec(commands(), 1..4)) {
        for encoding in [Encoding::Json, Encoding::Msgpack] {
            let sent: Vec<_> = commands.iter().cloned().map(|c| prepared(c, encoding)).collect();
            let message: Vec<u8> = sent.iter().flat_map(|c| encode(encoding, c)).collect();
            prop_assert_eq!(decode_commands(encoding, &message), (sent, None));
        }
    }

    #[test]
    fn arbitrary_bytes_end_in_a_value_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        for encoding in [Encoding::Json, Encoding::Msgpack] {
            let _ = decode_commands(encoding, &bytes);
            let _ = decode_from_server(encoding, &bytes);
        }
    }

    #[test]
    fn mutated_frames_end_in_a_value_or_an_error(command in commands(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        for encoding in [Encoding::Json, Encoding::Msgpack] {
            let mut bytes = encode(encoding, &prepared(command.clone(), encoding)).to_vec();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let (commands, _) = decode_commands(encoding, &bytes);
            for command in commands {
                if let Some((_, Action::Publish(publish))) = command.into_action() {
                    let _ = (publish.data.clone().into_bytes(true), publish.data.into_bytes(false));
                }
            }
        }
    }
}
