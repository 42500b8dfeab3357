//! What a request to publish holds: one event, or a list of them.
//!
//! Pure: bytes and a key in, events or refusals out. Each event of a list is read on
//! its own, so that one that cannot be read takes no other along.

use std::collections::BTreeMap;

use protocol::class::Class;
use protocol::error_code::ErrorCode;
use protocol::frame::{
    AsMap, ErrorBody, FRAMES_PER_MESSAGE_MAX, Payload, Publish, distinct_headers,
};
use protocol::name::ClientId;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::core::session::commands;

/// Longest idempotency key, bytes. A UUID has 36.
pub const KEY_BYTES_MAX: usize = 255;

/// An event as a body holds it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Event {
    channel: String,
    #[serde(default)]
    class: Class,
    data: Payload,
    #[serde(default)]
    content_type: Option<String>,
    #[serde(default, deserialize_with = "distinct_headers")]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    client: Option<String>,
    #[serde(default)]
    n: Option<u64>,
    #[serde(default)]
    first_sent: Option<u64>,
    #[serde(default)]
    expected_seq: Option<u64>,
    #[serde(default)]
    clock: Option<String>,
    #[serde(default)]
    receipt: bool,
}

/// An event and the writer in whose name it is published.
pub type Named = (ClientId, Publish);

/// The events of one request.
#[derive(Debug)]
pub enum Body {
    /// One.
    One(Result<Named, ErrorBody>),
    /// A list, which is answered as a list.
    List(Vec<Result<Named, ErrorBody>>),
}

fn refuse<T>(code: ErrorCode, message: impl Into<String>) -> Result<T, ErrorBody> {
    Err(ErrorBody::new(code, message))
}

/// The writer that an `Idempotency-Key` stands for.
///
/// # Errors
/// The key is empty, too long, or not printable ASCII.
pub fn writer_of_key(key: &[u8]) -> Result<ClientId, ErrorBody> {
    let printable = |key: &&str| {
        (1..=KEY_BYTES_MAX).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic())
    };
    match std::str::from_utf8(key).ok().filter(printable) {
        Some(key) => Ok(ClientId::of_key(key)),
        None => refuse(
            ErrorCode::BadHeader,
            format!("Idempotency-Key is not 1 to {KEY_BYTES_MAX} printable characters"),
        ),
    }
}

/// Reads a body. `key` is the writer of the request's idempotency key, if it has one.
///
/// # Errors
/// The body is no JSON, or the list is empty or longer than `events_max`.
pub fn read(bytes: &[u8], key: Option<&ClientId>, events_max: usize) -> Result<Body, ErrorBody> {
    let unreadable = |error: serde_json::Error| {
        ErrorBody::new(
            ErrorCode::BadFrame,
            format!("the body is not readable: {error}"),
        )
    };
    let whole: &RawValue = serde_json::from_slice(bytes).map_err(unreadable)?;
    if !whole.get().starts_with('[') {
        return Ok(Body::One(event(whole, key, 0)));
    }
    let list: Vec<&RawValue> = serde_json::from_str(whole.get()).map_err(unreadable)?;
    let max = events_max.min(FRAMES_PER_MESSAGE_MAX);
    if list.is_empty() || list.len() > max {
        let message = format!("the body has {} events, 1 to {max} may be", list.len());
        return refuse(ErrorCode::BadFrame, message);
    }
    let events = (0..).zip(list).map(|(n, raw)| event(raw, key, n));
    Ok(Body::List(events.collect()))
}

/// Reads one event, the `place`-th of its list. Its id is what it names itself, or
/// follows from the request's key and its place.
fn event(raw: &RawValue, key: Option<&ClientId>, place: u64) -> Result<Named, ErrorBody> {
    let event: Event = match serde_json::from_str(raw.get()) {
        Ok(AsMap(event)) => event,
        Err(error) => {
            return refuse(
                ErrorCode::BadFrame,
                format!("the event is not readable: {error}"),
            );
        }
    };
    let (client, n) = match (event.client, event.n, key) {
        (Some(client), Some(n), None) => (commands::client(&client)?, n),
        (None, None, Some(key)) => (key.clone(), place),
        (None, None, None) => {
            let message = "an event needs client and n, or the request an Idempotency-Key";
            return refuse(ErrorCode::BadFrame, message);
        }
        (_, _, Some(_)) => {
            let message = "client and n are not given beside an Idempotency-Key";
            return refuse(ErrorCode::BadFrame, message);
        }
        (_, _, None) => return refuse(ErrorCode::BadFrame, "client and n belong together"),
    };
    let publish = Publish {
        channel: event.channel,
        class: event.class,
        n,
        data: event.data,
        content_type: event.content_type,
        headers: event.headers,
        first_sent: event.first_sent,
        expected_seq: event.expected_seq,
        clock: event.clock,
        receipt: event.receipt,
    };
    Ok((client, publish))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 3;

    fn list(text: &str, key: Option<&ClientId>) -> Vec<Result<Named, ErrorCode>> {
        let events = match read(text.as_bytes(), key, MAX).unwrap() {
            Body::One(event) => vec![event],
            Body::List(events) => events,
        };
        let events = events.into_iter();
        events
            .map(|event| event.map_err(|error| error.code))
            .collect()
    }

    fn key() -> ClientId {
        writer_of_key(b"order-17").unwrap()
    }

    #[test]
    fn events_name_themselves_or_are_named_by_the_key() {
        let own = r#"{"channel":"chat.a","data":[1],"client":"c1","n":7}"#;
        let bare = r#"{"channel":"chat.a","data":[1]}"#;
        let named = list(own, None).remove(0).unwrap();
        assert_eq!((named.0.as_str(), named.1.n), ("c1", 7));
        let two = list(&format!("[{bare},{bare}]"), Some(&key()));
        let numbers: Vec<_> = two.into_iter().map(Result::unwrap).collect();
        assert!(numbers.iter().all(|(client, _)| *client == key()));
        assert_eq!((numbers[0].1.n, numbers[1].1.n), (0, 1));
        for (text, key) in [
            (bare, None),
            (own, Some(&key())),
            (r#"{"channel":"chat.a","data":1,"n":7}"#, None),
            (
                r#"{"channel":"chat.a","data":1,"headers":{"x":"1","x":"2"}}"#,
                Some(&key()),
            ),
            (r#"[["chat.a",1]]"#, Some(&key())),
        ] {
            assert_eq!(list(text, key)[0], Err(ErrorCode::BadFrame), "{text}");
        }
        let reserved = own.replace("c1", key().as_str());
        assert_eq!(list(&reserved, None)[0], Err(ErrorCode::BadClient));
    }

    #[test]
    fn one_unreadable_event_takes_no_other_along() {
        let text =
            r#"[{"channel":"chat.a","data":1},{"chanel":"chat.a"},{"channel":"chat.a","data":2}]"#;
        let read = list(text, Some(&key()));
        assert_eq!(
            read.iter().map(Result::is_ok).collect::<Vec<_>>(),
            [true, false, true]
        );
        assert_eq!(read[2].as_ref().unwrap().1.n, 2);
    }

    #[test]
    fn lists_within_and_beyond_their_limit() {
        let events = |count| {
            format!(
                "[{}]",
                vec![r#"{"channel":"chat.a","data":1}"#; count].join(",")
            )
        };
        assert_eq!(list(&events(MAX), Some(&key())).len(), MAX);
        for text in [events(MAX + 1), events(0), "{".into(), String::new()] {
            let refused = read(text.as_bytes(), Some(&key()), MAX).unwrap_err();
            assert_eq!(refused.code, ErrorCode::BadFrame, "{text}");
        }
    }

    #[test]
    fn keys_within_and_beyond_their_limit() {
        assert!(writer_of_key(&[b'k'; KEY_BYTES_MAX]).is_ok());
        for key in [
            &[b'k'; KEY_BYTES_MAX + 1][..],
            b"",
            b"a b",
            "\u{e9}".as_bytes(),
        ] {
            assert_eq!(writer_of_key(key).unwrap_err().code, ErrorCode::BadHeader);
        }
    }
}
