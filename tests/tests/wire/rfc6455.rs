//! RFC 6455, row by row: what a client may send and what it must not, on a socket of
//! ours that helps nobody.

use std::net::SocketAddr;

use harness::raw::Received;
use harness::wait;
use protocol::close_code::CloseCode;
use protocol::frame::Encoding;
use tokio::io::AsyncWriteExt;

use super::refusals::MESSAGE_BYTES_MAX;
use super::seen::Seen;
use super::socket::{self, BINARY, CLOSE, Got, PING, PONG, TEXT, frame};

/// The mask of these frames.
const MASK: Option<[u8; 4]> = Some([0x37, 0xfa, 0x21, 0x3d]);
/// The bit that makes a frame its message's last.
const FINAL: u8 = 0x80;
/// A command; before `connect` its reply says that it was read.
const COMMAND: &[u8] = br#"{"id":1,"ping":{}}"#;

/// What a row must bring.
enum Expect {
    /// The command is read.
    Read,
    /// A pong with this, then the command is read.
    Pong(Vec<u8>),
    /// A close of the node's own.
    Closed(CloseCode),
    /// The client's close comes back.
    Echo(Vec<u8>),
}

use Expect::{Closed, Echo, Pong, Read};

type Row = (String, Vec<u8>, Expect);

/// A first fragment of this kind, or one in the middle.
fn open(first: u8, payload: &[u8]) -> Vec<u8> {
    frame(first & !FINAL, payload, MASK)
}

/// The last fragment.
fn last(payload: &[u8]) -> Vec<u8> {
    frame(FINAL, payload, MASK)
}

fn row(what: &str, parts: &[Vec<u8>], expect: Expect) -> Row {
    (what.to_owned(), parts.concat(), expect)
}

fn protocol_error(what: &str, parts: &[Vec<u8>]) -> Row {
    row(what, parts, Closed(CloseCode::ProtocolError))
}

/// Messages whole and in pieces, with control frames between them.
fn allowed() -> Vec<Row> {
    let (begin, end) = COMMAND.split_at(5);
    let pieces: Vec<Vec<u8>> = COMMAND.iter().map(|byte| open(0, &[*byte])).collect();
    let bytes = [&[open(TEXT, b"")][..], &pieces, &[last(b"")]].concat();
    let text = "{\"id\":1,\"p\u{20ac}\":{}}".as_bytes();
    let ping = |payload: &[u8]| {
        let parts = [frame(PING, payload, MASK), frame(TEXT, COMMAND, MASK)];
        row("a ping", &parts, Pong(payload.to_vec()))
    };
    vec![
        row("a message", &[frame(TEXT, COMMAND, MASK)], Read),
        row(
            "a mask of zeros",
            &[frame(TEXT, COMMAND, Some([0; 4]))],
            Read,
        ),
        row("two fragments", &[open(TEXT, begin), last(end)], Read),
        row("a fragment for each byte", &bytes, Read),
        row(
            "a character in two",
            &[open(TEXT, &text[..11]), last(&text[11..])],
            Read,
        ),
        row(
            "a ping between fragments",
            &[open(TEXT, begin), frame(PING, b"x", MASK), last(end)],
            Pong(b"x".to_vec()),
        ),
        row(
            "pongs that nobody asked for",
            &[
                frame(PONG, b"a", MASK),
                open(TEXT, begin),
                frame(PONG, &[7; 125], MASK),
                last(end),
            ],
            Read,
        ),
        ping(b""),
        ping(b"\x00\xff\xfe"),
        ping(&[7; 125]),
    ]
}

/// Frames that break the protocol.
fn broken() -> Vec<Row> {
    let text = frame(TEXT, COMMAND, MASK);
    let lying = |length: u64| [&[BINARY, 0xff][..], &length.to_be_bytes(), &[0; 4]].concat();
    let mut rows = vec![
        protocol_error("text without mask", &[frame(TEXT, COMMAND, None)]),
        protocol_error("a ping without mask", &[frame(PING, b"", None)]),
        protocol_error("a close without mask", &[frame(CLOSE, b"", None)]),
        protocol_error("a continuation of nothing", &[last(COMMAND)]),
        protocol_error("an open continuation of nothing", &[open(0, COMMAND)]),
        protocol_error(
            "a continuation of what has ended",
            &[open(TEXT, b" "), last(b" "), last(COMMAND)],
        ),
        protocol_error("a text inside a text", &[open(TEXT, b" "), text.clone()]),
        protocol_error(
            "bytes inside a text",
            &[open(TEXT, b" "), open(BINARY, COMMAND)],
        ),
        protocol_error("a length of 2^63", &[lying(1 << 63)]),
        protocol_error("a length of 2^64-1", &[lying(u64::MAX)]),
    ];
    for bit in [0x40, 0x20, 0x10] {
        let what = format!("the reserved bit {bit:#x}");
        rows.push(protocol_error(&what, &[frame(TEXT | bit, COMMAND, MASK)]));
        rows.push(protocol_error(&what, &[frame(PING | bit, b"", MASK)]));
        let parts = [open(TEXT, b" "), frame(FINAL | bit, COMMAND, MASK)];
        rows.push(protocol_error(&what, &parts));
    }
    for opcode in (3..8).chain(11..16) {
        let what = format!("the opcode {opcode}");
        let bytes = frame(FINAL | opcode, b"", MASK);
        rows.push(protocol_error(&what, std::slice::from_ref(&bytes)));
        rows.push(protocol_error(&what, &[open(TEXT, b" "), bytes]));
    }
    for (name, control) in [("ping", PING), ("pong", PONG), ("close", CLOSE)] {
        let long = frame(control, &[3, 232].repeat(63), MASK);
        rows.push(protocol_error(&format!("a long {name}"), &[long]));
        let part = open(control, &[3, 232]);
        rows.push(protocol_error(&format!("a part of a {name}"), &[part]));
    }
    rows
}

/// Text that is none.
fn not_utf8() -> Vec<Row> {
    let closed = || Closed(CloseCode::NotUtf8);
    let mut rows: Vec<Row> = [
        ("a lone byte", &b"\xff"[..]),
        ("half a character", b"\xe2\x82"),
        ("a surrogate", b"\xed\xa0\x80"),
        ("a long form", b"\xc0\xaf"),
        ("past the last character", b"\xf4\x90\x80\x80"),
    ]
    .into_iter()
    .map(|(what, bytes)| row(what, &[frame(TEXT, bytes, MASK)], closed()))
    .collect();
    let parts = [open(TEXT, b"{}"), open(0, b"\xe2"), last(b"(")];
    rows.push(row("a character that goes wrong", &parts, closed()));
    let reason = frame(CLOSE, b"\x03\xe8\xff\xfe", MASK);
    rows.push(row("a reason that is no text", &[reason], closed()));
    rows
}

/// Messages that are too long, at once, in parts, and by what they claim.
fn too_large() -> Vec<Row> {
    let closed = || Closed(CloseCode::TooLarge);
    let long = vec![b' '; MESSAGE_BYTES_MAX + 1];
    let claim = [&[TEXT, 0xff][..], &(1u64 << 62).to_be_bytes()].concat();
    vec![
        row("a frame too long", &[frame(TEXT, &long, MASK)], closed()),
        row(
            "fragments too long",
            &[open(TEXT, &long[1..]), last(b" ")],
            closed(),
        ),
        row("a length of 2^62", &[claim], closed()),
    ]
}

/// Closes with codes that may and may not be sent.
fn closes() -> Vec<Row> {
    let close = |code: u16| [&code.to_be_bytes()[..], "bye \u{20ac}".as_bytes()].concat();
    let mut rows = vec![
        row("a close", &[frame(CLOSE, b"", MASK)], Echo(Vec::new())),
        protocol_error("half a code", &[frame(CLOSE, &[3], MASK)]),
        row(
            "what stands behind a close",
            &[frame(CLOSE, &[3, 232], MASK), frame(TEXT, b"]", None)],
            Echo(vec![3, 232]),
        ),
    ];
    for code in (1000..=1003)
        .chain(1007..=1014)
        .chain([3000, 3999, 4000, 4999])
    {
        let bytes = frame(CLOSE, &close(code), MASK);
        let what = format!("a close with {code}");
        rows.push(row(&what, &[bytes], Echo(close(code))));
    }
    for code in [
        0,
        999,
        1004,
        1005,
        1006,
        1015,
        1016,
        1100,
        2000,
        2999,
        5000,
        u16::MAX,
    ] {
        let bytes = frame(CLOSE, &close(code), MASK);
        rows.push(protocol_error(&format!("a close with {code}"), &[bytes]));
    }
    rows
}

/// Every row on a connection of its own.
pub async fn provoke(address: SocketAddr, seen: &mut Seen) {
    for rows in [allowed(), broken(), not_utf8(), too_large(), closes()] {
        for (what, bytes, expect) in rows {
            let protocol = Some(Encoding::Json.protocol());
            let opened = socket::open(address, protocol).await;
            let (mut reader, mut writer) = opened.expect("the node takes connections");
            // The node may close while the rest is still on its way.
            let _ = writer.write_all(&bytes).await;
            let mut got = async || wait::within(&what, reader.next()).await;
            match expect {
                Read => assert_read(&what, got().await),
                Pong(payload) => {
                    assert_eq!(got().await, Got::Pong(payload), "{what}");
                    assert_read(&what, got().await);
                }
                Closed(code) => match got().await {
                    Got::Close(number, reason) => {
                        let end = Received::Closed(number, reason);
                        seen.close(&what, &end, code);
                    }
                    other => panic!("{what}: {other:?}"),
                },
                Echo(payload) => {
                    let code = payload
                        .first_chunk()
                        .map_or(0, |code| u16::from_be_bytes(*code));
                    let reason = String::from_utf8_lossy(payload.get(2..).unwrap_or_default());
                    assert_eq!(got().await, Got::Close(code, reason.into_owned()), "{what}");
                    assert_eq!(got().await, Got::End, "{what}");
                }
            }
        }
    }
}

/// The reply to the command: it came before `connect`, or has a key that is none.
fn assert_read(what: &str, got: Got) {
    let Got::Message(bytes) = got else {
        panic!("{what}: {got:?}")
    };
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.starts_with(r#"{"id":1,"error":"#), "{what}: {text}");
}
