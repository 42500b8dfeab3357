//! Responses as they are filled: events until a limit, then the token.
//!
//! Owns the events of one response; knows nothing of where they come from.

use bytes::{Bytes, BytesMut};

use super::token::{self, Cursor, Target};
use crate::proto::{EventMeta, ReadResponse};

/// Most events of a response.
pub(crate) const BATCH_EVENTS_MAX: usize = 4_096;
/// Payload bytes after which a response is sent: large enough that what each
/// response costs is shared, small enough for every client's limit of 4 MiB.
pub(crate) const BATCH_BYTES_MAX: usize = 256 * 1024;

/// Limits of one response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    pub events: usize,
    pub bytes: usize,
}

impl Limits {
    /// The server's limits, lowered to what a request asks for; 0 asks for nothing.
    pub(crate) fn of(events: u32, bytes: u32) -> Self {
        let lower = |asked: u32, max: usize| {
            if asked == 0 {
                max
            } else {
                max.min(asked as usize)
            }
        };
        Self {
            events: lower(events, BATCH_EVENTS_MAX),
            bytes: lower(bytes, BATCH_BYTES_MAX),
        }
    }
}

/// A response that is being filled.
#[derive(Debug)]
pub(crate) struct Batch {
    limits: Limits,
    events: Vec<EventMeta>,
    payloads: BytesMut,
    /// Headers and names, which also count for a client's limit.
    meta_bytes: usize,
}

impl Batch {
    /// An empty one.
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            events: Vec::new(),
            payloads: BytesMut::new(),
            meta_bytes: 0,
        }
    }

    /// Adds an event; the length in `meta` is set here.
    pub(crate) fn push(&mut self, mut meta: EventMeta, payload: &[u8]) {
        meta.payload_length = payload.len() as u32;
        self.meta_bytes += meta
            .headers
            .iter()
            .map(|header| header.name.len() + header.value.len())
            .sum::<usize>();
        self.payloads.extend_from_slice(payload);
        self.events.push(meta);
    }

    /// Whether it must be sent before the next event.
    pub(crate) fn is_full(&self) -> bool {
        self.events.len() >= self.limits.events
            || self.payloads.len() + self.meta_bytes >= self.limits.bytes
    }

    /// Whether there is nothing to send.
    pub(crate) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Takes the response out; a new one is begun.
    pub(crate) fn take(&mut self, target: &Target, cursor: &Cursor) -> ReadResponse {
        self.meta_bytes = 0;
        crate::metrics::replayed(self.events.len());
        ReadResponse {
            events: std::mem::take(&mut self.events),
            payloads: Bytes::from(self.payloads.split()),
            token: token::encode(target, cursor),
            ..ReadResponse::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_full_at_each_limit() {
        let mut batch = Batch::new(Limits::of(2, 10));
        batch.push(EventMeta::default(), b"123456789");
        assert!(!batch.is_full());
        batch.push(EventMeta::default(), b"");
        assert!(batch.is_full());
        let mut batch = Batch::new(Limits::of(0, 10));
        batch.push(EventMeta::default(), b"1234567890");
        assert!(batch.is_full());
    }

    #[test]
    fn a_request_lowers_the_limits_and_never_raises_them() {
        let most = Limits {
            events: BATCH_EVENTS_MAX,
            bytes: BATCH_BYTES_MAX,
        };
        assert_eq!(Limits::of(0, 0), most);
        assert_eq!(Limits::of(u32::MAX, u32::MAX), most);
        assert_eq!(
            Limits::of(1, 2),
            Limits {
                events: 1,
                bytes: 2
            }
        );
    }
}
