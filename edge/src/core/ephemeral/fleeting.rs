//! An ephemeral event as subscribers get it, or several that go together: encoded once per
//! encoding, shared by everybody it goes to.
//!
//! Owns the bytes. It has no sequence: it stands in no stream.

use std::sync::{Arc, OnceLock};

use bus::Incoming;
use bytes::Bytes;
use protocol::filter::HeaderFilter;
use protocol::frame::{Encoding, Ephemeral, Payload, Push, encode};
use protocol::header::{self, Headers};
use shares::lossy::Passing;

use crate::core::delivery::{data_in, envelope_of, names};
use crate::core::run;

/// One ephemeral event.
#[derive(Debug)]
pub struct Fleeting {
    channel: Arc<str>,
    /// Of events with one key that wait for a client the newest alone stays.
    key: Option<Arc<str>>,
    headers: Headers,
    data: Bytes,
    /// The events that go together, if it is no event by itself.
    parts: Vec<Arc<Fleeting>>,
    json: OnceLock<Bytes>,
    msgpack: OnceLock<Bytes>,
}

/// What an event has in a frame beside its data, as an estimate, bytes.
const FRAME_BYTES: usize = 256;

impl Fleeting {
    /// What came on a channel; its key is in the header `conflate`, if there is one.
    pub fn new(channel: Arc<str>, message: Incoming, conflate: Option<&str>) -> Arc<Self> {
        // A small payload must not keep the connection's read buffer alive.
        let data = Bytes::copy_from_slice(&message.payload);
        Self::of(channel, message.headers, data, conflate)
    }

    /// An event with these headers.
    pub fn of(
        channel: Arc<str>,
        headers: Headers,
        data: Bytes,
        conflate: Option<&str>,
    ) -> Arc<Self> {
        let key = conflate.and_then(|name| headers.user().find(|(user, _)| *user == name));
        Arc::new(Self {
            key: key.map(|(_, value)| value.into()),
            channel,
            headers,
            data,
            parts: Vec::new(),
            json: OnceLock::new(),
            msgpack: OnceLock::new(),
        })
    }

    /// Events of a channel, in order, joined for whoever takes all of them. Those with keys
    /// stay apart, since each may be conflated by itself.
    pub fn together(events: &[Arc<Self>]) -> Vec<Arc<Self>> {
        if events.len() < 2 || events.iter().any(|event| event.key.is_some()) {
            return events.to_vec();
        }
        let sizes = events
            .iter()
            .map(|event| run::size(&event.data, event.data.len() + FRAME_BYTES));
        let parts = run::parts(&sizes.collect::<Vec<_>>());
        let joined = parts.into_iter().map(|range| match &events[range] {
            [only] => only.clone(),
            several => Arc::new(Self {
                channel: several[0].channel.clone(),
                key: None,
                headers: Headers::new(),
                data: Bytes::new(),
                parts: several.to_vec(),
                json: OnceLock::new(),
                msgpack: OnceLock::new(),
            }),
        });
        joined.collect()
    }

    /// Whether it is one that somebody wants.
    pub fn passes(&self, filter: &HeaderFilter) -> bool {
        filter.matches(&self.headers)
    }

    /// Whether this writer, `{user}/{client}` as in headers, has published it.
    pub fn is_of(&self, writer: &str) -> bool {
        self.headers.get(header::PUBLISHER) == Some(writer)
    }

    fn to_frame(&self, encoding: Encoding) -> Ephemeral {
        let envelope = envelope_of(&self.headers);
        let data: Payload = data_in(encoding, &self.data, envelope.content_type.as_deref());
        let n = envelope.counter();
        let (user, client) = names(envelope.publisher).unzip();
        Ephemeral {
            channel: self.channel.as_ref().into(),
            time: envelope.time.unwrap_or_default(),
            id: envelope.id,
            user,
            client,
            n,
            function: envelope.function.map(|function| function.as_str().into()),
            content_type: envelope.content_type,
            clock: envelope.clock,
            headers: envelope.user.into_iter().collect(),
            conflated: 0,
            data,
        }
    }
}

impl Passing for Fleeting {
    fn count(&self) -> u64 {
        self.parts.len().max(1) as u64
    }

    fn channel(&self) -> &Arc<str> {
        &self.channel
    }

    fn key(&self) -> Option<&Arc<str>> {
        self.key.as_ref()
    }

    fn standing_for(&self, encoding: Encoding, conflated: u64) -> Bytes {
        if conflated == 0 {
            return self.payload(encoding).clone();
        }
        let frame = Ephemeral {
            conflated,
            ..self.to_frame(encoding)
        };
        encode(encoding, &Push::Ephemeral(frame))
    }

    fn payload(&self, encoding: Encoding) -> &Bytes {
        let slot = match encoding {
            Encoding::Json => &self.json,
            Encoding::Msgpack => &self.msgpack,
        };
        slot.get_or_init(|| match self.parts.is_empty() {
            true => encode(encoding, &Push::Ephemeral(self.to_frame(encoding))),
            false => {
                let parts = self.parts.iter().map(|part| part.payload(encoding));
                run::join(encoding, parts)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use protocol::frame::decode_from_server;

    use super::*;

    #[test]
    fn it_says_the_same_in_both_encodings_and_is_made_once() {
        let mut headers = Headers::new();
        headers.push(header::ID, "acme/ann/c1/7");
        headers.push(header::PUBLISHER, "ann/c1");
        headers.push(header::TIME, "5");
        let event = Fleeting::of("room.1".into(), headers, Bytes::from_static(b"[1]"), None);
        assert!(event.is_of("ann/c1") && !event.is_of("ann/c2"));
        let read = |encoding| {
            let (frames, error) = decode_from_server(encoding, event.payload(encoding));
            assert_eq!(error, None);
            frames[0].ephemeral.clone().unwrap()
        };
        let (json, packed) = (read(Encoding::Json), read(Encoding::Msgpack));
        assert_eq!((json.time, json.id.as_str()), (5, "acme/ann/c1/7"));
        assert_eq!((&json.user, &json.client), (&packed.user, &packed.client));
        assert_eq!(json.data.into_bytes(true), packed.data.into_bytes(true));
        let again = event.payload(Encoding::Json).as_ptr();
        assert_eq!(again, event.payload(Encoding::Json).as_ptr());
    }

    #[test]
    fn events_go_together_but_for_those_with_keys() {
        let event = |n: u64, conflate| {
            let mut headers = Headers::new();
            headers.push(header::ID, n.to_string());
            headers.push_user("who", "ann").unwrap();
            Fleeting::of("room.a".into(), headers, Bytes::from_static(b"1"), conflate)
        };
        let three = [event(1, None), event(2, None), event(3, None)];
        let together = Fleeting::together(&three);
        assert_eq!((together.len(), together[0].count()), (1, 3));
        for encoding in [Encoding::Json, Encoding::Msgpack] {
            let (frames, failed) = decode_from_server(encoding, together[0].payload(encoding));
            let ids = frames.into_iter().map(|frame| frame.ephemeral.unwrap().id);
            assert_eq!(
                (ids.collect::<Vec<_>>(), failed),
                (vec!["1".into(), "2".into(), "3".into()], None)
            );
        }
        let keyed = [event(1, None), event(2, Some("who"))];
        assert_eq!(Fleeting::together(&keyed).len(), 2);
        assert_eq!(Fleeting::together(&three[..1])[0].count(), 1);
    }
}
