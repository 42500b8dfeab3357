//! Queries of history, Server-Sent Events and long polling: what is read, written as a
//! query again, is read as the same.

use edge::strangers::{followed, page};
use protocol::error_code::ErrorCode;
use protocol::frame::{History, Mark, Start};

use crate::meter;
use crate::property::{Kind, Target, bounded, refused, same};

/// A query, and what follows its first line as `Last-Event-ID`.
pub const QUERIES: Target = Target {
    name: "queries",
    words: &[
        b"channel=doc.42",
        b"&channel=",
        b"&from=",
        b"earliest",
        b"latest",
        b"9f86d081884c7d65:1042",
        b"@1764000000000000",
        b"&backwards=true",
        b"&limit=20",
        b"&after=1~9f86d081884c7d65.e6d4a2b1c09f8e7d-413",
        b"~9f86d081884c7d65",
        b".e6d4a2b1c09f8e7d-413",
        b"%00",
        b"%ff",
        b"+",
        b"\n1~",
    ],
    make: None,
    check,
};

/// What such an input may be refused with.
const CODES: [ErrorCode; 2] = [ErrorCode::BadFrame, ErrorCode::TooManySubscriptions];
/// Bytes for each byte of a query, and in any case.
const BYTES_EACH: usize = 64;
const BYTES_BASE: usize = 64 * 1024;
/// Channels of one request.
const CHANNELS_MAX: usize = 32;

fn check(input: &[u8]) -> Result<u64, String> {
    let text = String::from_utf8_lossy(input);
    let (query, last) = text.split_once('\n').unwrap_or((&text, ""));
    let last = Some(last).filter(|last| !last.is_empty());
    let mut kind = Kind::default();

    let (asked, peak) = meter::peak(|| page("chat.a", query));
    bounded(peak, input, BYTES_EACH, BYTES_BASE)?;
    match asked {
        Ok(asked) => {
            let again = page("chat.a", &written(&asked));
            same("a page, written and read", &again, &Ok(asked.clone()))?;
            kind.add(asked.from.map_or("", |from| name(&from)));
            kind.add(if asked.backwards { "backwards" } else { "" });
        }
        Err(error) => refused(&error, &CODES, &mut kind)?,
    }

    let (channels, peak) = meter::peak(|| followed(query, last));
    bounded(peak, input, BYTES_EACH, BYTES_BASE)?;
    match channels {
        Ok(channels) => {
            if channels.is_empty() || channels.len() > CHANNELS_MAX {
                return Err(format!("{} channels", channels.len()));
            }
            same("read again", &followed(query, last), &Ok(channels.clone()))?;
            let placed = |(_, start): &&(String, Start)| matches!(start, Start::After(_));
            kind.size(channels.len());
            kind.size(channels.iter().filter(placed).count());
        }
        Err(error) => refused(&error, &CODES, &mut kind)?,
    }
    Ok(kind.number())
}

/// What is asked, as a query.
fn written(asked: &History) -> String {
    let mut parts = vec![format!("backwards={}", asked.backwards)];
    parts.extend(asked.from.as_ref().map(|from| format!("from={from}")));
    parts.extend(asked.limit.map(|limit| format!("limit={limit}")));
    parts.join("&")
}

fn name(mark: &Mark) -> &'static str {
    match mark {
        Mark::End(_) => "end",
        Mark::Position(_) => "position",
        Mark::Sequence(_) => "sequence",
        Mark::Time(_) => "time",
    }
}
