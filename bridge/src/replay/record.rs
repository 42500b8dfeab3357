//! A record of Kafka as an event of a read. Owns nothing.

use protocol::header;
use protocol::name::Channel;
use protocol::outcome::dead_letter;
use rdkafka::Message;
use rdkafka::message::{BorrowedMessage, Headers as _};

use super::fault::ReplayFault;
use super::grant::{Found, Grant, What};
use crate::proto::{self, EventMeta};

/// An event and its bytes.
pub(super) type Given = (EventMeta, Vec<u8>);

/// A record as the event that is given; the inner `None`: it is not what was asked for. The
/// outer `None`: it cannot be read.
pub(super) fn event(
    message: &BorrowedMessage<'_>,
    sequence: u64,
    grant: &Grant,
) -> Option<Option<Given>> {
    let Some(key) = message.key() else {
        // A dead letter of something that had no channel.
        return Some(None);
    };
    let channel = Channel::parse(std::str::from_utf8(key).ok()?).ok()?;
    let time_ms = message.timestamp().to_millis().unwrap_or(0).cast_unsigned();
    let payload = message.payload().unwrap_or_default();
    let found = Found {
        channel: &channel,
        time_ms,
        dead_subject: match grant.what {
            What::DeadLetters(_) => value(message, dead_letter::SUBJECT),
            _ => None,
        },
        payload,
    };
    if !grant.gives(&found) {
        return Some(None);
    }
    let meta = EventMeta {
        sequence,
        time_us: time_ms * 1_000,
        channel: channel.as_str().to_owned(),
        payload_length: 0,
        headers: headers(message),
        partition: message.partition(),
        offset: message.offset(),
    };
    Some(Some((meta, payload.to_vec())))
}

/// The sequence in a record's position; `None` if it has none.
pub(super) fn sequence(
    message: &BorrowedMessage<'_>,
    origin: &str,
) -> Option<Result<u64, ReplayFault>> {
    let text = value(message, header::POSITION)?;
    let Some(sequence) = text.strip_prefix(origin) else {
        return Some(Err(ReplayFault::ForeignRecord {
            found: text.into(),
            expected: origin.trim_end_matches(':').into(),
        }));
    };
    sequence.parse().ok().map(Ok)
}

/// The event's own headers, so that history looks like live.
fn headers(message: &BorrowedMessage<'_>) -> Vec<proto::Header> {
    let Some(headers) = message.headers() else {
        return Vec::new();
    };
    let own = headers
        .iter()
        .filter(|found| found.key != header::POSITION && found.key != header::SUBJECT);
    own.map(|found| proto::Header {
        name: found.key.into(),
        value: String::from_utf8_lossy(found.value.unwrap_or_default()).into_owned(),
    })
    .collect()
}

/// A header's last value: our own headers come last.
fn value<'a>(message: &'a BorrowedMessage<'_>, name: &str) -> Option<&'a str> {
    let headers = message.headers()?;
    let found = (0..headers.count())
        .rev()
        .map(|at| headers.get(at))
        .find(|found| found.key == name)?;
    std::str::from_utf8(found.value?).ok()
}
