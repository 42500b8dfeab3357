//! The handshake, row by row: RFC 6455, section 4.2, and the limits of a request's head.

use std::net::SocketAddr;

use harness::{until, wait};
use protocol::frame::PROTOCOL_JSON;

use super::refusals::HURRIED_SESSIONS;
use super::socket::{self, exchange};

const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
const VERSION: &str = "Sec-WebSocket-Version: 13";
const UPGRADE: &str = "Upgrade: websocket";
const CONNECTION: &str = "Connection: keep-alive, Upgrade";
const HOST: &str = "Host: edge.example.org";
/// Bytes of names and values that a head may have, and its headers.
const HEADER_BYTES_MAX: usize = 16 * 1024;
const HEADERS_MAX: usize = 100;

/// A request for a session, which is closed at once: no token is needed to see that.
fn request(line: &str, headers: &[&str]) -> Vec<u8> {
    let mut text = format!("{line}\r\n");
    for header in headers {
        text.push_str(header);
        text.push_str("\r\n");
    }
    format!("{text}Sec-WebSocket-Protocol: {PROTOCOL_JSON}\r\n\r\n").into_bytes()
}

/// Bytes of the headers of a request that count.
fn counted(headers: &[&str]) -> usize {
    let protocol = format!("Sec-WebSocket-Protocol: {PROTOCOL_JSON}");
    let all = headers.iter().copied().chain([protocol.as_str()]);
    all.map(|header| header.len() - ": ".len()).sum()
}

type Row<'a> = (&'a str, Vec<u8>, u16, &'a str);

const GET: &str = "GET /v1/ws HTTP/1.1";
const GOOD: [&str; 5] = [HOST, CONNECTION, UPGRADE, VERSION, KEY];

/// The good ones with one changed, or left out where it is empty.
fn with(old: &str, new: &str) -> Vec<u8> {
    let headers = GOOD.map(|header| if header == old { new } else { header });
    let headers: Vec<_> = headers
        .into_iter()
        .filter(|text| !text.is_empty())
        .collect();
    request(GET, &headers)
}

fn rows() -> Vec<Row<'static>> {
    let key = "Sec-WebSocket-Key";
    vec![
        ("good", request(GET, &GOOD), 101, ""),
        ("other case", with(UPGRADE, "UPGRADE: WebSocket"), 101, ""),
        ("a post", request("POST /v1/ws HTTP/1.1", &GOOD), 405, ""),
        ("a head", request("HEAD /v1/ws HTTP/1.1", &GOOD), 400, ""),
        (
            "1.0",
            request("GET /v1/ws HTTP/1.0", &GOOD),
            400,
            "HTTP/1.1",
        ),
        ("no host", with(HOST, ""), 400, "Host"),
        ("two hosts", with(HOST, "Host: a\r\nHost: b"), 400, "Host"),
        ("no upgrade", with(UPGRADE, ""), 400, "Upgrade"),
        (
            "another upgrade",
            with(UPGRADE, "Upgrade: h2c"),
            400,
            "Upgrade",
        ),
        ("no connection", with(CONNECTION, ""), 400, "Upgrade"),
        (
            "keep-alive",
            with(CONNECTION, "Connection: keep-alive"),
            400,
            "Upgrade",
        ),
        ("no version", with(VERSION, ""), 426, "13"),
        (
            "version 8",
            with(VERSION, "Sec-WebSocket-Version: 8"),
            426,
            "13",
        ),
        (
            "versions",
            with(VERSION, "Sec-WebSocket-Version: 13, 8"),
            426,
            "13",
        ),
        ("no key", with(KEY, ""), 400, key),
        ("an empty key", with(KEY, "Sec-WebSocket-Key:"), 400, key),
        (
            "a short key",
            with(KEY, "Sec-WebSocket-Key: c2hvcnQ="),
            400,
            key,
        ),
        (
            "no base64",
            with(KEY, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ!!"),
            400,
            key,
        ),
        ("two keys", with(KEY, &format!("{KEY}\r\n{KEY}")), 400, key),
    ]
}

/// Heads at their limits and past them; far past them nothing is said.
fn long() -> Vec<Row<'static>> {
    let bytes = |count: usize| {
        let room = count - counted(&GOOD) - "Cookie".len();
        let cookie = format!("Cookie: {}", "c".repeat(room));
        request(GET, &[&GOOD[..], &[&cookie]].concat())
    };
    let headers = |count: usize| {
        let more = vec!["a: b"; count - GOOD.len() - 1];
        request(GET, &[&GOOD[..], &more].concat())
    };
    vec![
        ("bytes at the limit", bytes(HEADER_BYTES_MAX), 101, ""),
        ("a byte more", bytes(HEADER_BYTES_MAX + 1), 431, "16384"),
        ("headers at the limit", headers(HEADERS_MAX), 101, ""),
        ("a header more", headers(HEADERS_MAX + 1), 431, "100"),
        ("far too many bytes", bytes(3 * HEADER_BYTES_MAX), 431, ""),
        ("far too many headers", headers(3 * HEADERS_MAX), 431, ""),
    ]
}

/// Every row on a connection of its own.
pub async fn provoke(address: SocketAddr) {
    for (what, request, status, says) in rows().into_iter().chain(long()) {
        let answer = wait::within(what, exchange(address, &request)).await;
        let answer = answer.unwrap_or_else(|error| panic!("{what}: {error}"));
        let line = format!("HTTP/1.1 {status} ");
        assert!(
            answer
                .replacen("HTTP/1.0", "HTTP/1.1", 1)
                .starts_with(&line),
            "{what}: {answer}"
        );
        assert!(answer.contains(says), "{what}: {answer}");
        let names = answer.to_ascii_lowercase();
        assert_eq!(
            names.contains("sec-websocket-version: 13"),
            status == 426,
            "{what}"
        );
    }
}

/// As many sessions as the node may have, and one more.
pub async fn provoke_full(address: SocketAddr) {
    until("the node is full, and says so", async || {
        let mut sessions = Vec::new();
        for _ in 0..HURRIED_SESSIONS {
            // Fails while a session of before is still being closed.
            let opened = socket::open(address, Some(PROTOCOL_JSON)).await;
            sessions.push(opened.map_err(|error| error.to_string())?);
        }
        let answer = exchange(address, &request(GET, &GOOD)).await;
        let answer = answer.map_err(|error| error.to_string())?;
        // One that was opened first may have been closed meanwhile: it never connects.
        let is_refused = answer.starts_with("HTTP/1.1 503 ") && answer.contains("sessions");
        is_refused.then_some(()).ok_or(answer)
    })
    .await;
}
