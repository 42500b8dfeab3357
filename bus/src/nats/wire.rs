//! Headers and times as NATS carries them. One rule for every way of reading, so
//! that the same event compares equal however it was read: times are truncated to
//! microseconds, headers come in the order of their names, `Nats-*` is left out.

use async_nats::HeaderMap;
use async_nats::header::{HeaderName, HeaderValue, IntoHeaderName};

use crate::error::BusError;
use protocol::bus::{Expect, Outgoing, Republished, Stored};
use protocol::header::Headers;

const NANOS_PER_MICRO: i128 = 1_000;

/// An RFC 3339 time as microseconds since 1970, truncated; `None` for a malformed
/// time or one before 1970.
pub(super) fn micros(rfc3339: &str) -> Option<u64> {
    let nanos = async_nats::datetime::parse_rfc3339(rfc3339)
        .ok()?
        .unix_timestamp_nanos();
    u64::try_from(nanos / NANOS_PER_MICRO)
        .ok()
        .filter(|_| nanos >= 0)
}

/// Microseconds since 1970 as RFC 3339 in UTC.
pub(super) fn rfc3339(micros: u64) -> String {
    const DAY: u64 = 86_400_000_000;
    let (day, rest) = (micros / DAY, micros % DAY);
    // Days to a civil date, counted in eras of 400 years that start in March.
    let shifted = day + 719_468;
    let (era, in_era) = (shifted / 146_097, shifted % 146_097);
    let year_in_era = (in_era - in_era / 1_460 + in_era / 36_524 - in_era / 146_096) / 365;
    let in_year = in_era - (365 * year_in_era + year_in_era / 4 - year_in_era / 100);
    let march_month = (5 * in_year + 2) / 153;
    let date = in_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    let year = era * 400 + year_in_era + u64::from(month <= 2);
    let (seconds, micros) = (rest / 1_000_000, rest % 1_000_000);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{date:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
}

/// What a consumer's delivery says in its reply subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Delivery {
    pub stream_seq: u64,
    pub consumer_seq: u64,
    pub time_us: u64,
    pub pending: u64,
}

/// Reads `$JS.ACK.{stream}.{consumer}.{deliveries}.{stream seq}.{consumer seq}.{nanoseconds}.{pending}`,
/// or the longer form with domain and account before the stream.
pub(super) fn delivery(reply: &str) -> Option<Delivery> {
    let tokens = reply.strip_prefix("$JS.ACK.")?.split('.').count();
    let skip = match tokens {
        7 => 3,
        9.. => 5,
        _ => return None,
    };
    let mut numbers = reply
        .split('.')
        .skip(2 + skip)
        .map(|token| token.parse::<u64>().ok());
    let mut next = || numbers.next().flatten();
    let (stream_seq, consumer_seq, nanos, pending) = (next()?, next()?, next()?, next()?);
    Some(Delivery {
        stream_seq,
        consumer_seq,
        time_us: nanos / 1_000,
        pending,
    })
}

/// The headers of a message to publish, conditions and id included.
pub(super) fn outgoing(message: &Outgoing) -> Result<HeaderMap, BusError> {
    let mut map = HeaderMap::new();
    for (name, value) in message.headers.iter() {
        let wrong = || BusError::Header { name: name.into() };
        let parsed: HeaderName = name.parse().map_err(|_| wrong())?;
        map.append(parsed, value.parse::<HeaderValue>().map_err(|_| wrong())?);
    }
    if let Some(id) = &message.msg_id {
        let value: HeaderValue = id.parse().map_err(|_| BusError::Header {
            name: "Nats-Msg-Id".into(),
        })?;
        map.insert(async_nats::header::NATS_MESSAGE_ID, value);
    }
    match message.expect {
        Some(Expect::LastOnSubject(seq)) => {
            map.insert(
                async_nats::header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE,
                seq.to_string(),
            );
        }
        Some(Expect::LastInStream(seq)) => map.insert(
            async_nats::header::NATS_EXPECTED_LAST_SEQUENCE,
            seq.to_string(),
        ),
        None => {}
    }
    Ok(map)
}

/// Bytes that headers and payload have on the wire, as the server's limit counts them.
pub(super) fn size(headers: &HeaderMap, payload: usize) -> usize {
    // "NATS/1.0" and the empty line with their ends, then ": " and an end for each value.
    let values = |(name, values): (&HeaderName, &Vec<HeaderValue>)| {
        let name: &str = name.as_ref();
        values
            .iter()
            .map(|value| name.len() + value.as_str().len() + 4)
            .sum::<usize>()
    };
    12 + headers.iter().map(values).sum::<usize>() + payload
}

/// The headers that are the event's own.
pub(super) fn own_headers(map: Option<&HeaderMap>) -> Headers {
    let mut headers = Headers::new();
    let Some(map) = map else { return headers };
    let mut entries: Vec<_> = map.iter().collect();
    entries.sort_unstable_by(|(one, _), (other, _)| AsRef::<str>::as_ref(one).cmp(other.as_ref()));
    for (name, values) in entries {
        for value in values {
            headers.push_read(name.as_ref(), value.as_str());
        }
    }
    headers
}

/// A header of the server's. It comes last: a message may have been stored with one of
/// the same name, copied from another stream.
fn servers(map: &HeaderMap, name: impl IntoHeaderName) -> Option<&str> {
    Some(map.get_last(name)?.as_str())
}

fn number(map: &HeaderMap, name: HeaderName) -> Option<u64> {
    servers(map, name)?.parse().ok()
}

/// What a republished message says of its origin.
pub(super) fn republished(map: &HeaderMap) -> Option<Republished> {
    Some(Republished {
        stream_seq: number(map, async_nats::header::NATS_SEQUENCE)?,
        prev: number(map, async_nats::header::NATS_LAST_SEQUENCE)?,
        time_us: micros(servers(map, async_nats::header::NATS_TIME_STAMP)?)?,
    })
}

/// How many more messages match, as a Direct Get says with each.
pub(super) fn num_pending(map: &HeaderMap) -> Option<u64> {
    servers(map, "Nats-Num-Pending")?.parse().ok()
}

/// Which sequence was sent before in this run, as a batched Direct Get says with each.
pub(super) fn last_sent(map: &HeaderMap) -> Option<u64> {
    servers(map, "Nats-Last-Sequence")?.parse().ok()
}

/// Whether a reply to a Direct Get is an event: no status of the server has a sequence,
/// though one names a subject (that nobody listens to).
pub(super) fn is_event(map: &HeaderMap) -> bool {
    map.get(async_nats::header::NATS_SEQUENCE).is_some()
}

/// An event from a Direct Get.
pub(super) fn direct(message: async_nats::Message) -> Option<Stored> {
    let map = message.headers.as_ref()?;
    Some(Stored {
        seq: number(map, async_nats::header::NATS_SEQUENCE)?,
        time_us: micros(servers(map, async_nats::header::NATS_TIME_STAMP)?)?,
        subject: servers(map, async_nats::header::NATS_SUBJECT)?.into(),
        headers: own_headers(Some(map)),
        payload: message.payload,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::block;
    use super::*;

    #[test]
    fn times_are_truncated_the_same_way_on_every_path() {
        let at = 1_764_000_000_123_456;
        for text in [
            "2025-11-24T16:00:00.123456Z",
            "2025-11-24T16:00:00.123456999Z",
            "2025-11-24T17:00:00.1234569+01:00",
        ] {
            assert_eq!(micros(text), Some(at), "{text}");
        }
        let reply = format!("$JS.ACK.EVENTS-main.c.1.7.3.{at}999.2");
        let said = Delivery {
            stream_seq: 7,
            consumer_seq: 3,
            time_us: at,
            pending: 2,
        };
        assert_eq!(delivery(&reply), Some(said));
        assert_eq!(
            delivery(&format!("$JS.ACK.dom.acc.EVENTS-main.c.1.7.3.{at}999.2")),
            Some(said)
        );
        assert_eq!(
            delivery(&format!(
                "$JS.ACK.dom.acc.EVENTS-main.c.1.7.3.{at}999.2.rnd"
            )),
            Some(said)
        );
        assert_eq!(delivery("$JS.ACK.a.b.c"), None);
        assert_eq!(micros("1969-12-31T23:59:59Z"), None);
        assert_eq!(micros("2025-11-24T16:00:00Z"), Some(at - 123_456));
    }

    proptest! {
        #[test]
        fn times_round_trip(at in 0..253_402_300_799_999_999u64) {
            prop_assert_eq!(micros(&rfc3339(at)), Some(at));
        }

        #[test]
        fn any_reply_is_read_or_refused(text in ".{0,80}") {
            let _ = (delivery(&text), delivery(&format!("$JS.ACK.{text}")), micros(&text));
        }
    }

    #[test]
    fn headers_are_equal_on_both_paths() {
        let block = b"NATS/1.0\r\nNats-Msg-Id: x\r\neddy-b:  2 \r\neddy-a: 1\r\n\r\n";
        let mut map = HeaderMap::new();
        map.append("eddy-b", "2");
        map.append("Nats-Msg-Id", "x");
        map.append("eddy-a", "1");
        let raw = block::read(block);
        assert_eq!((raw.headers, raw.readable), (own_headers(Some(&map)), true));
        assert_eq!(own_headers(Some(&map)).len(), 2);
    }
}
