use std::collections::BTreeMap;

use bytes::Bytes;
use expect_test::expect;
use proptest::prelude::*;

use super::*;
use crate::class::Class;
use crate::error_code::ErrorCode;
use crate::position::{Epoch, Position};

fn json(frame: &impl serde::Serialize) -> String {
    String::from_utf8(encode(Encoding::Json, frame).to_vec()).unwrap()
}

fn commands_of(encoding: Encoding, message: &[u8]) -> Vec<Result<Command, Unreadable>> {
    decode_commands(encoding, message).collect()
}

#[test]
fn json_data_is_carried_as_it_was_written() {
    let text = br#"{"id":3,"publish":{"channel":"doc.1","n":7,"data":{"b": 1.0,  "a":[]}}}"#;
    let commands = commands_of(Encoding::Json, text);
    let Some((3, Action::Publish(publish))) = commands[0].clone().unwrap().into_action() else {
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
    let passed = Reply {
        id: 5,
        outcome: Outcome::PassedOn(PassedOn {
            n: 8,
            class: Class::Ephemeral,
            dropped: None,
        }),
    };
    expect![[r#"{"id":5,"publish":{"n":8,"class":"ephemeral"}}"#]].assert_eq(&json(&passed));
    for encoding in [Encoding::Json, Encoding::Msgpack] {
        let read = |reply: &Reply| {
            let (mut frames, error) = decode_from_server(encoding, &encode(encoding, reply));
            assert_eq!(error, None);
            frames.remove(0).publish.unwrap()
        };
        assert!(matches!(read(&reply), PublishReply::Stored(stored) if stored.n == 7));
        assert!(matches!(read(&passed), PublishReply::PassedOn(passed) if passed.n == 8));
    }
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
fn one_action_and_no_other() {
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
    let full = commands_of(Encoding::Json, &ping.repeat(FRAMES_PER_MESSAGE_MAX));
    assert_eq!(full.len(), FRAMES_PER_MESSAGE_MAX);
    assert!(full.iter().all(Result::is_ok));
    let (id, error) = (0, DecodeError::TooMany);
    assert_eq!(
        commands_of(Encoding::Json, &ping.repeat(FRAMES_PER_MESSAGE_MAX + 1)),
        [Err(Unreadable { id, error })]
    );
}

/// A frame that is delimited and no command, in each encoding, under the id 7.
const BROKEN: [(&[u8], &[u8]); 14] = [
    (br#"{"id":7,"fly":{}}"#, b"\x82\xa2id\x07\xa3fly\x80"),
    (br#"{"fly":[{"id":3}],"id":7}"#, b"\x82\xa3fly\x91\x81\xa2id\x03\xa2id\x07"),
    (br#"{"id":7,"ping":{"a":1}}"#, b"\x82\xa2id\x07\xa4ping\x81\xa1a\x01"),
    (br#"{"id":7,"ping":{},"a":"}"}"#, b"\x83\xa2id\x07\xa4ping\x80\xa1a\xa1}"),
    (br#"{"id":7,"ping":[]}"#, b"\x82\xa2id\x07\xa4ping\x90"),
    (br#"{"id":7,"subscribe":{}}"#, b"\x82\xa2id\x07\xa9subscribe\x80"),
    (
        br#"{"id":7,"subscribe":{"channel":1}}"#,
        b"\x82\xa2id\x07\xa9subscribe\x81\xa7channel\x01",
    ),
    (
        br#"{"id":7,"subscribe":{"channel":"a","from":["aa",1]}}"#,
        b"\x82\xa2id\x07\xa9subscribe\x82\xa7channel\xa1a\xa4from\x92\xa2aa\x01",
    ),
    (br#"{"id":7,"publish":["a",1,1]}"#, b"\x82\xa2id\x07\xa7publish\x93\xa1a\x01\xc4\x011"),
    (
        br#"{"id":7,"publish":{"channel":"a","n":"1","data":1}}"#,
        b"\x82\xa2id\x07\xa7publish\x83\xa7channel\xa1a\xa1n\xa11\xa4data\xc4\x011",
    ),
    (
        br#"{"id":7,"publish":{"channel":"a","n":1,"data":1,"headers":{"x":"1","x":"2"}}}"#,
        b"\x82\xa2id\x07\xa7publish\x84\xa7channel\xa1a\xa1n\x01\xa4data\xc4\x011\xa7headers\x82\xa1x\xa11\xa1x\xa12",
    ),
    (br#"{"id":7,"id":8,"ping":{}}"#, b"\x83\xa2id\x07\xa2id\x08\xa4ping\x80"),
    (br#"{"id":7,"publish":{"data":NaN, (no}}"#, b"\x82\xa2id\x07\x00\x80"),
    (br#"{"id":7 "ping":{}}"#, b"\x82\xa2id\x07\xc0\xc0"),
];
/// The same without an id that could be read.
const NAMELESS: [(&[u8], &[u8]); 7] = [
    (br#"{"id":-7,"ping":{}}"#, b"\x82\xa2id\xd0\xf9\xa4ping\x80"),
    (br#"{"id":"7","ping":{}}"#, b"\x82\xa2id\xa17\xa4ping\x80"),
    (br#"{"ping":{}}"#, b"\x81\xa4ping\x80"),
    (
        br#"[7,null,null,null,null,{}]"#,
        b"\x96\x07\xc0\xc0\xc0\xc0\x80",
    ),
    (br#"{"a":tru,"id":7}"#, b"\x82\x00\x07\xa4ping\x80"),
    (br#""a \" }""#, b"\xa4ping"),
    (b"]", b"\xd4\x01\x00"),
];
/// What has no end, or begins nothing.
const UNDELIMITED: [(&[u8], &[u8]); 3] = [
    (br#"{"id":7,"ping":{}"#, b"\x82\xa2id\x07\xa4ping"),
    (br#"{"id":7,"ping":"}}"#, b"\xdf\xff\xff\xff\xff\x01"),
    (b"\"a", b"\xc1"),
];

fn connects() -> impl Strategy<Value = Action> {
    (".{0,30}", "[a-z]{1,9}").prop_map(|(token, client)| {
        Action::Connect(match token.len() % 2 {
            0 => Connect::new(token, client),
            _ => Connect {
                resume: Some(Resume {
                    after: vec![None, Some(token.len() as u64)],
                    ticket: token,
                }),
                ..Connect::new("", client)
            },
        })
    })
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
        connects(),
        Just(Action::Ticket(AskTicket {})),
        (".{0,30}", proptest::option::of(start), any::<bool>()).prop_map(
            |(channel, from, echo)| {
                Action::Subscribe(Subscribe {
                    from,
                    echo,
                    credit: echo.then_some(channel.len() as u64),
                    headers: match echo {
                        true => r#"{"a":["b","c"],"d":{"prefix":"e"},"f":{"absent":true}}"#
                            .parse()
                            .unwrap(),
                        false => Default::default(),
                    },
                    ..Subscribe::new(channel)
                })
            }
        ),
        ".{0,30}".prop_map(|channel| Action::Unsubscribe(Unsubscribe { channel })),
        (
            ".{0,30}",
            any::<u64>(),
            proptest::collection::vec(any::<u8>(), 0..50),
            proptest::option::of(any::<u64>())
        )
            .prop_map(|(channel, n, data, first_sent)| Action::Publish(Publish {
                channel,
                class: if n % 2 == 0 {
                    Class::Durable
                } else {
                    Class::Ephemeral
                },
                n,
                data: Payload::Bytes(data.into()),
                content_type: Some("application/octet-stream".into()),
                headers: BTreeMap::from([("a".into(), "b".into())]),
                first_sent,
                expected_seq: first_sent.map(|at| at / 3),
                clock: first_sent.map(|at| at.to_string()),
                receipt: n % 3 == 0,
            })),
        (".{0,30}", any::<u64>())
            .prop_map(|(channel, events)| Action::Credit(Grant { channel, events })),
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
            let sent: Vec<_> = sent.into_iter().map(Ok).collect();
            prop_assert_eq!(commands_of(encoding, &message), sent);
        }
    }

    /// Whatever stands in a message, each frame is answered by its id and no other is
    /// touched; only what cannot be delimited ends the message.
    #[test]
    fn a_broken_frame_takes_no_neighbour_along(
        frames in proptest::collection::vec(prop_oneof![
            commands().prop_map(Ok),
            (0..BROKEN.len()).prop_map(|at| Err((7, BROKEN[at]))),
            (0..NAMELESS.len()).prop_map(|at| Err((0, NAMELESS[at]))),
        ], 0..9),
        end in proptest::option::of(0..UNDELIMITED.len()),
    ) {
        for encoding in [Encoding::Json, Encoding::Msgpack] {
            let of = |(json, msgpack): (&'static [u8], &'static [u8])| match encoding {
                Encoding::Json => [json, b" \r\n\t"].concat(),
                Encoding::Msgpack => msgpack.to_vec(),
            };
            let (mut message, mut expected) = (Vec::new(), Vec::new());
            for frame in &frames {
                match frame {
                    Ok(command) => {
                        let command = prepared(command.clone(), encoding);
                        message.extend(encode(encoding, &command));
                        expected.push(Ok(command));
                    }
                    Err((id, bytes)) => {
                        message.extend(of(*bytes));
                        expected.push(Err(*id));
                    }
                }
            }
            if let Some(end) = end {
                message.extend(of(UNDELIMITED[end]));
                expected.push(Err(0));
            }
            let read: Vec<_> = decode_commands(encoding, &message)
                .map(|frame| frame.map_err(|unreadable| unreadable.id))
                .collect();
            prop_assert_eq!(read, expected);
        }
    }

    #[test]
    fn arbitrary_bytes_end_in_a_value_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        for encoding in [Encoding::Json, Encoding::Msgpack] {
            let _ = commands_of(encoding, &bytes);
            let _ = decode_from_server(encoding, &bytes);
        }
    }

    #[test]
    fn mutated_frames_end_in_a_value_or_an_error(command in commands(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        for encoding in [Encoding::Json, Encoding::Msgpack] {
            let mut bytes = encode(encoding, &prepared(command.clone(), encoding)).to_vec();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            for command in decode_commands(encoding, &bytes).flatten() {
                if let Some((_, Action::Publish(publish))) = command.into_action() {
                    let _ = (publish.data.clone().into_bytes(true), publish.data.into_bytes(false));
                }
            }
        }
    }
}
