//! Headers of the PROXY protocol: what is decided does not depend on how the bytes come,
//! nothing behind a header is taken, and the client is who stands there.

use std::net::IpAddr;

use edge::strangers::proxy_header::{FIXED_BYTES, HEADER_BYTES_MAX, HeaderFault, Progress, read};

use crate::meter;
use crate::property::{Kind, Target, bounded, same, told};

/// A connection's first bytes.
pub const PROXY: Target = Target {
    name: "proxy-header",
    words: &[
        b"\r\n\r\n\0\r\nQUIT\n",
        b"\x21\x11\x00\x0c",
        b"\x21\x21\x00\x24",
        b"\x20\x00\x00\x00",
        b"\x21\x31\x00\xd8",
        b"\x07\xff",
        b"PROXY TCP4 ",
        b"\x04\x00\x01\x00",
    ],
    make: None,
    check,
};

/// What was decided, and with how many bytes.
type Decided = (Result<Progress, HeaderFault>, usize);

/// Reads as a connection does that brings so many bytes at a time, and never more than it
/// is asked for.
fn driven(input: &[u8], step: usize) -> Result<Decided, String> {
    let mut have = 0;
    loop {
        match read(&input[..have]) {
            Ok(Progress::More(needed)) => {
                if needed <= have || needed > HEADER_BYTES_MAX {
                    return Err(format!("{needed} bytes are asked for, {have} are there"));
                }
                if have == input.len() {
                    return Ok((Ok(Progress::More(needed)), have));
                }
                have = input.len().min(needed).min(have.saturating_add(step));
            }
            decided => return Ok((decided, have)),
        }
    }
}

fn check(input: &[u8]) -> Result<u64, String> {
    let (whole, peak) = meter::peak(|| driven(input, usize::MAX));
    // Nothing is kept of a header but by who reads it.
    bounded(peak, input, 0, 256)?;
    let (decided, taken) = whole?;
    let (slowly, _) = driven(input, 1)?;
    same("byte by byte", &slowly, &decided)?;
    let mut kind = Kind::default();
    match decided {
        Ok(Progress::Client(client)) => {
            let length = usize::from(u16::from_be_bytes([input[14], input[15]]));
            same("the header's end", &taken, &(FIXED_BYTES + length))?;
            let there = match client {
                IpAddr::V4(client) => input[FIXED_BYTES..].starts_with(&client.octets()),
                IpAddr::V6(client) => input[FIXED_BYTES..].starts_with(&client.octets()),
            };
            same("the client is who stands there", &there, &true)?;
            kind.add(if client.is_ipv4() { "v4" } else { "v6" });
        }
        Ok(Progress::Proxy) => kind.add("proxy"),
        Ok(Progress::More(needed)) => kind.size(needed),
        Err(fault) => {
            told(&fault.to_string())?;
            told(fault.reason())?;
            if taken > FIXED_BYTES {
                return Err(format!("refused only after {taken} bytes: {fault}"));
            }
            kind.complain(&fault.to_string());
        }
    }
    kind.size(taken);
    Ok(kind.number())
}
