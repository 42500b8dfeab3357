//! The header of the PROXY protocol, version 2: what a proxy says of who connects to it
//! (HAProxy's specification, section 2.2).
//!
//! Pure: what has come so far in, and the client, or how much more is needed. Nothing
//! behind the header is ever asked for, so that nothing of it has to be put back.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Bytes of a header: addresses have 216 at most, and what a proxy adds to them (names,
/// checksums, the client's own TLS) some hundred.
pub const HEADER_BYTES_MAX: usize = 2 * 1024;
/// Bytes before the addresses: the signature, version and command, family and transport,
/// and the length of what follows.
pub const FIXED_BYTES: usize = 16;
/// What it begins with: no other protocol does.
pub const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// What version 1 begins with.
const VERSION_1: &[u8] = b"PROXY";
/// Bytes of two addresses and two ports.
const IPV4_BYTES: usize = 2 * 4 + 2 * 2;
const IPV6_BYTES: usize = 2 * 16 + 2 * 2;

/// How far a header is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// It has so many bytes at least, from its beginning.
    More(usize),
    /// It ends with the last byte, and is about this client.
    Client(IpAddr),
    /// It ends with the last byte, and the connection is the proxy's own (it asks whether
    /// the node lives), or it does not say whose it is.
    Proxy,
}

/// Why the connection is closed. Nothing but another proxy, or another setting of it,
/// helps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderFault {
    /// It does not begin with a header.
    #[error("there is no header of the PROXY protocol")]
    Absent,
    /// It begins with one of another version.
    #[error("the header is of version {0} of the PROXY protocol, not 2")]
    Version(u8),
    /// A command that the specification does not know.
    #[error("the header has the unknown command {0}")]
    Command(u8),
    /// A family or a transport that the specification does not know.
    #[error("the header has the unknown family and transport {0:#04x}")]
    Family(u8),
    /// It is longer than [`HEADER_BYTES_MAX`].
    #[error("the header has {0} bytes, more than {HEADER_BYTES_MAX}")]
    TooLong(usize),
    /// It ends before the addresses that it announces.
    #[error("the header has {0} bytes, too few for its addresses")]
    TooShort(usize),
}

impl HeaderFault {
    /// The reason under which it is counted.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Absent => "proxy_header_absent",
            Self::Version(_) => "proxy_header_version",
            Self::TooLong(_) => "proxy_header_length",
            Self::Command(_) | Self::Family(_) | Self::TooShort(_) => "proxy_header",
        }
    }
}

/// Reads what has come: at most what [`Progress::More`] asked for before.
///
/// # Errors
/// [`HeaderFault`], as soon as it is certain.
pub fn read(bytes: &[u8]) -> Result<Progress, HeaderFault> {
    let begun = &bytes[..bytes.len().min(SIGNATURE.len())];
    if !SIGNATURE.starts_with(begun) {
        return other(bytes);
    }
    let Some((fixed, rest)) = bytes.split_first_chunk::<FIXED_BYTES>() else {
        return Ok(Progress::More(FIXED_BYTES));
    };
    let [.., version_and_command, family, high, low] = *fixed;
    let version = version_and_command >> 4;
    if version != 2 {
        return Err(HeaderFault::Version(version));
    }
    let whole = FIXED_BYTES + usize::from(u16::from_be_bytes([high, low]));
    if whole > HEADER_BYTES_MAX {
        return Err(HeaderFault::TooLong(whole));
    }
    let is_whole = || match bytes.len() < whole {
        true => Progress::More(whole),
        false => Progress::Proxy,
    };
    match version_and_command & 0x0f {
        // Its own connection, whatever else it says.
        0 => return Ok(is_whole()),
        1 => {}
        command => return Err(HeaderFault::Command(command)),
    }
    let (family_alone, transport) = (family >> 4, family & 0x0f);
    if family_alone > 3 || transport > 2 {
        return Err(HeaderFault::Family(family));
    }
    let needed = match (family_alone, transport) {
        (1, 1 | 2) => IPV4_BYTES,
        (2, 1 | 2) => IPV6_BYTES,
        // Not said, or a socket of a file: without an address that could be counted.
        _ => return Ok(is_whole()),
    };
    if whole < FIXED_BYTES + needed {
        return Err(HeaderFault::TooShort(whole));
    }
    if bytes.len() < whole {
        return Ok(Progress::More(whole));
    }
    // What follows the addresses is skipped, as the specification allows.
    let client = match family_alone {
        1 => rest.first_chunk::<4>().map(|it| Ipv4Addr::from(*it).into()),
        _ => rest
            .first_chunk::<16>()
            .map(|it| Ipv6Addr::from(*it).into()),
    };
    client
        .map(Progress::Client)
        .ok_or(HeaderFault::TooShort(whole))
}

/// What does not begin as version 2.
fn other(bytes: &[u8]) -> Result<Progress, HeaderFault> {
    if bytes.starts_with(VERSION_1) {
        return Err(HeaderFault::Version(1));
    }
    match VERSION_1.starts_with(bytes) {
        true => Ok(Progress::More(VERSION_1.len())),
        false => Err(HeaderFault::Absent),
    }
}

#[cfg(test)]
mod tests;
