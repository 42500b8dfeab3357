//! Heads of a WebSocket's handshake: accepted is only what RFC 6455, section 4.2.1, calls
//! one, looked at in another way.

use edge::strangers::handshake;

use crate::meter;
use crate::property::{Kind, Target, bounded, same, told};

/// Header lines.
pub const HEAD: Target = Target {
    name: "head",
    words: &[
        b"Host: edge\r\n",
        b"Connection: Upgrade\r\n",
        b"Connection: keep-alive, upgrade\r\n",
        b"Upgrade: websocket\r\n",
        b"Sec-WebSocket-Version: 13\r\n",
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        b"Sec-WebSocket-Protocol: eddyline.v1.json\r\n",
        b"Origin: https://a.example.org\r\n",
        b"==",
        b", ",
        b"\r\n",
    ],
    make: None,
    check,
};

/// Bytes for each byte of a head, and in any case.
const BYTES_EACH: usize = 64;
const BYTES_BASE: usize = 64 * 1024;
/// Characters of `Sec-WebSocket-Accept`: 20 bytes in base64.
const ACCEPT_CHARS: usize = 28;

fn lines(input: &[u8]) -> impl Iterator<Item = &[u8]> {
    let lines = input.split(|byte| *byte == b'\n');
    lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}

fn check(input: &[u8]) -> Result<u64, String> {
    let (accepted, peak) = meter::peak(|| handshake(lines(input)));
    bounded(peak, input, BYTES_EACH, BYTES_BASE)?;
    let mut kind = Kind::default();
    match accepted {
        Ok(accept) => {
            same("the length of the answer", &accept.len(), &ACCEPT_CHARS)?;
            is_one(input)?;
            kind.add("accepted");
        }
        Err(problem) => {
            told(&problem)?;
            kind.complain(&problem);
        }
    }
    kind.size(lines(input).count());
    Ok(kind.number())
}

/// Whether it is a handshake.
fn is_one(input: &[u8]) -> Result<(), String> {
    // A line with a control character is no header (RFC 9110, section 5.5).
    let plain = |line: &&[u8]| {
        let value = line.splitn(2, |byte| *byte == b':').nth(1);
        let fine = |byte: &u8| *byte == b'\t' || !byte.is_ascii_control();
        value.is_some_and(|value| value.trim_ascii().iter().all(fine))
    };
    let values = |wanted: &str| -> Vec<String> {
        let text = lines(input).filter(plain).map(String::from_utf8_lossy);
        let parts = text.filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            let is_it = name.eq_ignore_ascii_case(wanted);
            is_it.then(|| value.trim_ascii().to_owned())
        });
        parts.collect()
    };
    let has = |name: &str, token: &str| {
        let all = values(name).join(",").to_ascii_lowercase();
        all.split(',').any(|part| part.trim() == token)
    };
    same("hosts", &values("host").len(), &1)?;
    same(
        "versions",
        &values("sec-websocket-version"),
        &vec!["13".into()],
    )?;
    same("upgrade", &has("upgrade", "websocket"), &true)?;
    same("connection", &has("connection", "upgrade"), &true)?;
    let keys = values("sec-websocket-key");
    same("keys", &keys.len(), &1)?;
    same("bytes of the key", &decoded(&keys[0]), &Some(16))
}

/// How many bytes a text of base64 stands for (RFC 4648, section 4).
fn decoded(text: &str) -> Option<usize> {
    let digits = text.trim_end_matches('=');
    let padding = text.len() - digits.len();
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || b"+/".contains(&byte);
    let whole = text.len().is_multiple_of(4) && padding <= 2 && digits.bytes().all(is_digit);
    whole.then_some(text.len() / 4 * 3 - padding)
}
