//! An event, encoded once per encoding and shared by everybody it goes to.
//!
//! Owns the bytes. A gap is relayed in the same way, so that it keeps its place. What
//! is encoded is the payload: a transport puts its framing before it and leaves it as
//! it is, so that nothing is copied for a subscriber.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use protocol::bus::Stored;
use protocol::envelope::{Envelope, is_json};
use protocol::frame::{CaughtUp, Encoding, Event, Gap, GapReason, Payload, Push, encode};
use protocol::header::{self, Headers};
use protocol::id::Publisher;

/// What an event costs beside its data, as an estimate for bounds, bytes.
const EVENT_OVERHEAD_BYTES: usize = 512;

/// An event with what the stream says of it.
#[derive(Debug, Clone)]
pub struct Relayed {
    /// Its sequence.
    pub seq: u64,
    /// The channel's sequence before.
    pub prev: u64,
    /// When it was stored, microseconds since 1970.
    pub time_us: u64,
    /// Its headers.
    pub headers: Headers,
    /// Its data.
    pub payload: Bytes,
}

#[derive(Debug)]
enum Body {
    Event(Relayed),
    Gap { from: u64, to: u64 },
}

/// One frame for all subscribers of a channel.
#[derive(Debug)]
pub struct Encoded {
    channel: Arc<str>,
    body: Body,
    json: OnceLock<Bytes>,
    msgpack: OnceLock<Bytes>,
}

impl Encoded {
    /// An event.
    pub fn event(channel: Arc<str>, event: Relayed) -> Arc<Self> {
        Arc::new(Self {
            channel,
            body: Body::Event(event),
            json: OnceLock::new(),
            msgpack: OnceLock::new(),
        })
    }

    /// An event as it was read from the stream; `prev` is the channel's one before.
    pub fn stored(channel: Arc<str>, event: Stored, prev: u64) -> Arc<Self> {
        let Stored {
            seq,
            time_us,
            headers,
            payload,
            ..
        } = event;
        Self::event(
            channel,
            Relayed {
                seq,
                prev,
                time_us,
                headers,
                payload,
            },
        )
    }

    /// A range that is lost.
    pub fn gap(channel: Arc<str>, from: u64, to: u64) -> Arc<Self> {
        Arc::new(Self {
            channel,
            body: Body::Gap { from, to },
            json: OnceLock::new(),
            msgpack: OnceLock::new(),
        })
    }

    /// Where a subscription stands once it has this.
    pub fn seq(&self) -> u64 {
        match &self.body {
            Body::Event(event) => event.seq,
            Body::Gap { to, .. } => *to,
        }
    }

    /// The channel's sequence before it; 0: none, or no longer kept.
    pub fn prev(&self) -> u64 {
        match &self.body {
            Body::Event(event) => event.prev,
            Body::Gap { from, .. } => from.saturating_sub(1),
        }
    }

    /// The event; `None` of a gap.
    pub fn relayed(&self) -> Option<&Relayed> {
        match &self.body {
            Body::Event(event) => Some(event),
            Body::Gap { .. } => None,
        }
    }

    /// How many events it is of those that its reader has granted: a gap is none.
    pub fn events(&self) -> u64 {
        match &self.body {
            Body::Event(_) => 1,
            Body::Gap { .. } => 0,
        }
    }

    /// How long ago an edge node accepted it, by that one's clock and by this time,
    /// microseconds since 1970. `None` of a gap, and of what was not published by a client.
    pub fn age(&self, now_us: u64) -> Option<Duration> {
        let Body::Event(event) = &self.body else {
            return None;
        };
        let accepted: u64 = event.headers.get(header::TIME)?.parse().ok()?;
        Some(Duration::from_micros(now_us.saturating_sub(accepted)))
    }

    /// Bytes that it keeps, as an estimate.
    pub fn size(&self) -> usize {
        match &self.body {
            // The data itself, and the payloads made of it.
            Body::Event(event) => EVENT_OVERHEAD_BYTES + 3 * event.payload.len(),
            Body::Gap { .. } => EVENT_OVERHEAD_BYTES,
        }
    }

    /// What a client in this encoding is sent; made at the first call.
    pub fn payload(&self, encoding: Encoding) -> &Bytes {
        let slot = match encoding {
            Encoding::Json => &self.json,
            Encoding::Msgpack => &self.msgpack,
        };
        slot.get_or_init(|| encode(encoding, &self.to_push(encoding)))
    }

    /// The event as a part of a longer reply; `None` for a gap.
    pub fn body(&self, encoding: Encoding) -> Option<Event> {
        match &self.body {
            Body::Event(event) => Some(self.to_event(event, encoding)),
            Body::Gap { .. } => None,
        }
    }

    fn to_push(&self, encoding: Encoding) -> Push {
        match &self.body {
            Body::Event(event) => Push::Event(self.to_event(event, encoding)),
            Body::Gap { from, to } => Push::Gap(Gap {
                channel: self.channel.as_ref().into(),
                from: *from,
                to: *to,
                reason: GapReason::Retention,
            }),
        }
    }

    fn to_event(&self, event: &Relayed, encoding: Encoding) -> Event {
        let envelope = envelope_of(&event.headers);
        let data = data_in(encoding, &event.payload, envelope.content_type.as_deref());
        let n = envelope.counter();
        let (user, client) = names(envelope.publisher).unzip();
        Event {
            channel: self.channel.as_ref().into(),
            seq: event.seq,
            prev: event.prev,
            time: event.time_us,
            id: envelope.id,
            user,
            client,
            n,
            source: envelope.source.map(|source| source.to_string()),
            function: envelope.function.map(|function| function.as_str().into()),
            content_type: envelope.content_type,
            clock: envelope.clock,
            headers: envelope.user.into_iter().collect(),
            data,
        }
    }
}

/// What is said of an event. A message that Eddyline did not write is relayed with what can
/// be read of it: left out, it would look like a loss.
pub fn envelope_of(headers: &Headers) -> Envelope {
    Envelope::from_headers(headers).unwrap_or_else(|_| Envelope {
        id: headers.get(header::ID).unwrap_or_default().into(),
        ..Envelope::default()
    })
}

/// A publisher's user and writer, as frames name them.
pub fn names(publisher: Option<Publisher>) -> Option<(String, String)> {
    let publisher = publisher?;
    let (user, client) = (publisher.user.as_str(), publisher.client.as_str());
    Some((user.into(), client.into()))
}

/// An event's data as a frame carries it.
pub fn data_in(encoding: Encoding, data: &Bytes, content_type: Option<&str>) -> Payload {
    match encoding {
        Encoding::Json => Payload::for_json(data, is_json(content_type)),
        Encoding::Msgpack => Payload::Bytes(data.clone()),
    }
}

/// The payload of `caught_up`.
pub fn caught_up(encoding: Encoding, channel: &str, seq: u64) -> Bytes {
    let caught_up = CaughtUp {
        channel: channel.into(),
        seq,
    };
    encode(encoding, &Push::CaughtUp(caught_up))
}

#[cfg(test)]
mod tests {
    use protocol::frame::decode_from_server;

    use super::*;

    fn sample() -> Arc<Encoded> {
        let mut headers = Headers::new();
        headers.push(header::ID, "acme/ann/c1/7");
        headers.push(header::PUBLISHER, "ann/c1");
        headers.push_user("room", "blue").unwrap();
        let event = Relayed {
            seq: 9,
            prev: 4,
            time_us: 5,
            headers,
            payload: Bytes::from_static(b"{\"a\": 1}"),
        };
        Encoded::event("doc.1".into(), event)
    }

    #[test]
    fn an_event_says_the_same_in_both_encodings() {
        let event = sample();
        let read = |encoding| {
            let frames = decode_from_server(encoding, event.payload(encoding));
            assert_eq!(frames.1, None);
            frames.0[0].event.clone().unwrap()
        };
        let (json, packed) = (read(Encoding::Json), read(Encoding::Msgpack));
        assert_eq!(
            (json.seq, json.prev, json.id.as_str(), json.user.as_deref()),
            (9, 4, "acme/ann/c1/7", Some("ann"))
        );
        assert_eq!(json.headers, packed.headers);
        assert_eq!(json.data.into_bytes(true), packed.data.into_bytes(true));
    }

    #[test]
    fn a_payload_is_made_once() {
        let event = sample();
        assert_eq!(
            event.payload(Encoding::Json).as_ptr(),
            event.payload(Encoding::Json).as_ptr()
        );
    }

    #[test]
    fn a_foreign_message_is_relayed_as_far_as_it_is_readable() {
        let event = Relayed {
            seq: 1,
            prev: 0,
            time_us: 0,
            headers: Headers::new(),
            payload: Bytes::from_static(b"{"),
        };
        let frame = Encoded::event("doc.1".into(), event);
        assert_eq!(
            decode_from_server(Encoding::Json, frame.payload(Encoding::Json)).1,
            None
        );
    }
}
