//! The parser beside one that is not ours, on whatever comes in whatever pieces; and the
//! cases of the RFC.

use std::io::{self, Read, Write};

use proptest::prelude::*;
use tokio_tungstenite::tungstenite::error::CapacityError;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::*;

/// Longest message here, bytes.
const BYTES_MAX: usize = 300;

/// A frame of a client.
fn frame(first: u8, payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        length @ 0..=125 => bytes.push(MASKED | length as u8),
        length => {
            bytes.push(MASKED | 126);
            bytes.extend((length as u16).to_be_bytes());
        }
    }
    bytes.extend(mask);
    let masked = payload.iter().zip(mask.iter().cycle());
    bytes.extend(masked.map(|(byte, mask)| byte ^ mask));
    bytes
}

/// What ours makes of bytes that come in pieces of this size, and what it answers.
fn ours(bytes: &[u8], piece: usize) -> (Vec<Received>, Vec<u8>) {
    let mut parser = Parser::new(BYTES_MAX, Encoding::Json);
    let (mut input, mut out, mut all) = (Input::default(), Vec::new(), Vec::new());
    let mut pieces = bytes.chunks(piece);
    loop {
        while let Some(received) = parser.next(&mut input, &mut out) {
            let goes_on = matches!(
                received,
                Received::Message(_) | Received::WrongKind | Received::Alive
            );
            all.push(received);
            if !goes_on {
                return (all, out);
            }
        }
        match pieces.next() {
            Some(piece) => input.add(piece),
            None => input.end(),
        }
    }
}

struct Wire<'a>(&'a [u8], Vec<u8>);
impl Read for Wire<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}
impl Write for Wire<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.1.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What tungstenite makes of them.
fn theirs(bytes: &[u8]) -> Vec<Received> {
    let config = WebSocketConfig::default()
        .max_message_size(Some(BYTES_MAX))
        .max_frame_size(Some(BYTES_MAX));
    let mut context = WebSocketContext::new(Role::Server, Some(config));
    let (mut wire, mut all) = (Wire(bytes, Vec::new()), Vec::new());
    loop {
        all.push(match context.read(&mut wire) {
            Ok(Message::Text(text)) => Received::Message(text.into()),
            Ok(Message::Binary(_)) => Received::WrongKind,
            Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => Received::Alive,
            // It closes by itself with this where the code may not be sent.
            Ok(Message::Close(Some(frame))) if frame.reason == "Protocol violation" => {
                Received::Broken(CloseCode::ProtocolError)
            }
            Ok(Message::Close(_)) => Received::Close,
            Err(Error::Capacity(CapacityError::MessageTooLong { size, .. })) => {
                Received::Broken(if size > i64::MAX as usize {
                    CloseCode::ProtocolError
                } else {
                    CloseCode::TooLarge
                })
            }
            Err(Error::Utf8(_)) => Received::Broken(CloseCode::NotUtf8),
            Err(Error::Protocol(ref error)) if error.to_string().contains("Connection reset") => {
                Received::Gone
            }
            Err(Error::Protocol(_)) => Received::Broken(CloseCode::ProtocolError),
            Err(_) => Received::Gone,
        });
        let last = all.last();
        if !matches!(
            last,
            Some(Received::Message(_) | Received::WrongKind | Received::Alive)
        ) {
            return all;
        }
    }
}

fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let first = prop_oneof![
        8 => prop::sample::select(vec![0x81u8, 0x01, 0x00, 0x80, 0x82, 0x89, 0x8a]),
        1 => Just(0x88),
        1 => any::<u8>(),
    ];
    let payload = prop_oneof![
        4 => "[a-zä{}€𝄞]{0,12}".prop_map(String::into_bytes),
        1 => proptest::collection::vec(any::<u8>(), 0..12),
        1 => (120usize..320).prop_map(|length| vec![b'x'; length]),
        1 => (990u16..5_010).prop_map(|code| [&code.to_be_bytes()[..], b"bye"].concat()),
    ];
    let whole = (first, payload, any::<[u8; 4]>())
        .prop_map(|(first, payload, mask)| frame(first, &payload, mask));
    prop_oneof![
        30 => whole,
        1 => proptest::collection::vec(any::<u8>(), 0..20),
    ]
}

proptest! {
    /// Both read the same, however it comes in.
    #[test]
    fn it_agrees_with_another(
        frames in proptest::collection::vec(pieces(), 0..12),
        piece in 1usize..40,
    ) {
        let bytes = frames.concat();
        let (read, _) = ours(&bytes, piece);
        let expected = theirs(&bytes);
        // Where both refuse, they may see another fault first; and of a frame that is cut
        // off ours refuses what its head shows, while the other waits for the rest.
        let both_end = matches!(
            (read.last(), expected.last()),
            (Some(Received::Broken(_)), Some(Received::Broken(_) | Received::Gone))
        );
        let compared = read.len() - usize::from(both_end);
        prop_assert_eq!(&read[..compared], &expected[..expected.len() - usize::from(both_end)]);
        prop_assert_eq!(&ours(&bytes, bytes.len().max(1)).0, &read);
    }
}

fn broken(bytes: &[u8]) -> CloseCode {
    match ours(bytes, 1).0.pop() {
        Some(Received::Broken(code)) => code,
        other => panic!("{other:?}"),
    }
}

#[test]
fn pings_and_closes_are_answered_with_what_they_carry() {
    let mask = [1, 2, 3, 4];
    let close = [&1000u16.to_be_bytes()[..], b"bye"].concat();
    let bytes = [
        frame(0x01, b"{\"a\"", mask),
        frame(0x89, b"are you there?", mask),
        frame(0x80, b":1}", mask),
        frame(0x88, &close, mask),
    ];
    let (read, out) = ours(&bytes.concat(), 3);
    let message = Received::Message(Bytes::from_static(b"{\"a\":1}"));
    assert_eq!(read, [Received::Alive, message, Received::Close]);
    let pong = frame::whole(Opcode::Pong, b"are you there?");
    assert_eq!(out, [pong, frame::whole(Opcode::Close, &close)].concat());
}

#[test]
fn lengths_within_and_beyond_the_limit() {
    let mask = [9; 4];
    let full = vec![b'1'; BYTES_MAX];
    let (read, _) = ours(&frame(0x81, &full, mask), 7);
    assert_eq!(read, [Received::Message(full.into()), Received::Gone]);
    let long = vec![b'1'; BYTES_MAX + 1];
    assert_eq!(broken(&frame(0x81, &long, mask)), CloseCode::TooLarge);
    let parts = [frame(0x01, &long[1..], mask), frame(0x00, b"1", mask)];
    assert_eq!(broken(&parts.concat()), CloseCode::TooLarge);
    for (length, code) in [
        (1u64 << 62, CloseCode::TooLarge),
        (1 << 63, CloseCode::ProtocolError),
        (u64::MAX, CloseCode::ProtocolError),
    ] {
        let bytes = [&[0x81, 0xff][..], &length.to_be_bytes()].concat();
        assert_eq!(broken(&bytes), code, "{length}");
    }
}

#[test]
fn a_message_is_under_way_until_its_last_byte() {
    let mask = [1, 2, 3, 4];
    let mut parser = Parser::new(BYTES_MAX, Encoding::Json);
    let (mut input, mut out) = (Input::default(), Vec::new());
    assert!(!parser.is_under_way(&input));
    let whole = [
        frame(0x01, b"{}", mask),
        frame(0x8a, b"", mask),
        frame(0x80, b"1", mask),
    ]
    .concat();
    for (at, byte) in whole.iter().enumerate() {
        input.add(&[*byte]);
        let received = parser.next(&mut input, &mut out);
        let is_last = at + 1 == whole.len();
        assert_eq!(parser.is_under_way(&input), !is_last, "{at}");
        assert_eq!(
            matches!(received, Some(Received::Message(_))),
            is_last,
            "{at}"
        );
    }
}
