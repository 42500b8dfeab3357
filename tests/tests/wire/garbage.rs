//! What breaks RFC 6455 itself, and the HTTP before it.
//! Owns nothing; everything follows from the random numbers that it is given.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use super::socket::{BINARY, CLOSE, TEXT, frame};

/// First byte of a ping.
const PING: u8 = 0x89;
/// First byte of a continuation that is not the last.
const CONTINUATION: u8 = 0x00;
/// The bit that says that a frame is its message's last.
const FINAL: u8 = 0x80;
/// Bytes of a header that no server should buffer.
const HEADER_BYTES: usize = 40_000;

/// One piece of what no client may send.
pub fn piece(rng: &mut StdRng) -> Vec<u8> {
    let mask = Some(rng.random::<[u8; 4]>());
    let text: &[u8] = br#"{"id":1,"ping":{}}"#;
    match rng.random_range(0..14) {
        0 => frame(TEXT, text, None),
        1 => frame(TEXT | rng.random_range(1..8) << 4, text, mask),
        2 => frame(FINAL | rng.random_range(3..8), text, mask),
        3 => frame(FINAL | rng.random_range(11..16), text, mask),
        4 => frame(TEXT, b"\xff\xfe\x80{}", mask),
        5 => frame(FINAL | CONTINUATION, text, mask),
        6 => fragments(rng, text),
        7 => [
            frame(TEXT & !FINAL, b"{\"id\"", mask),
            frame(TEXT, text, mask),
        ]
        .concat(),
        8 => frame(PING, &[7; 126], mask),
        9 => frame(PING & !FINAL, b"half a ping", mask),
        10 => lying_length(rng),
        11 => close(rng, mask),
        12 => frame(PING, &rng.random::<[u8; 32]>(), mask).repeat(rng.random_range(1..200)),
        _ => (0..rng.random_range(1..300))
            .map(|_| rng.random())
            .collect(),
    }
}

/// A message in many parts with pings between them, which is allowed, or one without
/// an end, which is not good.
fn fragments(rng: &mut StdRng, text: &[u8]) -> Vec<u8> {
    let mask = Some([1, 2, 3, 4]);
    let mut bytes = frame(TEXT & !FINAL, &[], mask);
    for part in text.chunks(rng.random_range(1..5)) {
        bytes.extend(frame(CONTINUATION, part, mask));
        bytes.extend(frame(PING, b"", mask));
    }
    if rng.random_bool(0.5) {
        bytes.extend(frame(FINAL | CONTINUATION, &[], mask));
    }
    bytes
}

fn lying_length(rng: &mut StdRng) -> Vec<u8> {
    let length: u64 = *[1 << 20, 1 << 31, 1 << 32, i64::MAX as u64, u64::MAX, 5]
        .choose(rng)
        .expect("not empty");
    let mut bytes = vec![BINARY, 0xff];
    bytes.extend(length.to_be_bytes());
    bytes.extend([0; 64]);
    bytes
}

fn close(rng: &mut StdRng, mask: Option<[u8; 4]>) -> Vec<u8> {
    let code: u16 = *[0, 999, 1000, 1001, 1004, 1005, 1006, 1015, 3000, 65_535]
        .choose(rng)
        .expect("not empty");
    match rng.random_range(0..4) {
        0 => frame(CLOSE, &[3], mask),
        1 => frame(CLOSE, &[], mask),
        2 => frame(
            CLOSE,
            &[&code.to_be_bytes()[..], b"\xff\xfe"].concat(),
            mask,
        ),
        _ => frame(CLOSE, &[&code.to_be_bytes()[..], b"bye"].concat(), mask),
    }
}

/// One request that is no handshake.
pub fn request(rng: &mut StdRng) -> Vec<u8> {
    let head = "GET /v1/ws HTTP/1.1\r\nHost: x\r\n";
    let upgrade = "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
    match rng.random_range(0..9) {
        0 => format!("{head}{upgrade}X-Long: {}\r\n\r\n", "x".repeat(HEADER_BYTES)).into_bytes(),
        1 => format!("{head}{upgrade}\r\n").into_bytes(),
        2 => format!("{head}{upgrade}Sec-WebSocket-Key: \u{1}\u{2}\r\n\r\n").into_bytes(),
        3 => format!("{head}{}\r\n", "a: b\r\n".repeat(500)).into_bytes(),
        4 => b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        5 => b"POST /v1/ws HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n".to_vec(),
        6 => format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(rng.random_range(0..20_000))).into_bytes(),
        7 => b"GET /v1/ws HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n".to_vec(),
        _ => (0..rng.random_range(1..500)).map(|_| rng.random()).collect(),
    }
}
