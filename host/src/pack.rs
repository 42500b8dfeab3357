//! Packs events into one batch: a flat index and one arena.
//!
//! Owns nothing: the buffers are the caller's and are used again for the next
//! batch. Must not know how guests are called.

use std::sync::Arc;

use protocol::state::ChannelState;

use super::abi::{Batch, EventRef, Span};
use crate::event::Event;

/// One event to hand over, with the number of this attempt.
#[derive(Debug, Clone)]
pub struct Item {
    /// From 1.
    pub attempt: u32,
    /// The event.
    pub event: Arc<Event>,
    /// What is remembered of its channel when its batch begins; nothing unless given.
    pub memory: Option<Arc<ChannelState>>,
}

/// Fills a batch with these events; what was in its buffers is gone.
pub fn pack(items: &[Item], batch: &mut Batch) {
    batch.events.clear();
    batch.arena.clear();
    for item in items {
        let (event, arena) = (&*item.event, &mut batch.arena);
        let user = event
            .envelope
            .publisher
            .as_ref()
            .map_or("", |publisher| publisher.user.as_str());
        batch.events.push(EventRef {
            seq: event.seq(),
            time_us: event.stored.time_us,
            attempt: item.attempt,
            tenant: put(arena, event.tenant.as_str().as_bytes()),
            channel: put(arena, event.channel.as_str().as_bytes()),
            id: put(arena, event.envelope.id.as_bytes()),
            publisher: put(arena, user.as_bytes()),
            content_type: put(arena, event.envelope.content_type().as_bytes()),
            headers: put_headers(arena, &event.envelope.user),
            data: put(arena, &event.stored.payload),
        });
    }
}

/// Bytes that an event takes in a batch, but for its few fixed fields.
pub fn packed_bytes(event: &Event) -> usize {
    let headers: usize = event
        .envelope
        .user
        .iter()
        .map(|(name, value)| 8 + name.len() + value.len())
        .sum();
    size_of::<EventRef>()
        + event.stored.payload.len()
        + headers
        + event.stored.subject.len()
        + event.envelope.id.len()
}

fn put(arena: &mut Vec<u8>, bytes: &[u8]) -> Span {
    let offset = index(arena.len());
    arena.extend_from_slice(bytes);
    Span {
        offset,
        length: index(bytes.len()),
    }
}

fn put_headers(arena: &mut Vec<u8>, headers: &[(String, String)]) -> Span {
    if headers.is_empty() {
        return Span::default();
    }
    let offset = arena.len();
    arena.extend_from_slice(&index(headers.len()).to_le_bytes());
    for text in headers.iter().flat_map(|(name, value)| [name, value]) {
        arena.extend_from_slice(&index(text.len()).to_le_bytes());
        arena.extend_from_slice(text.as_bytes());
    }
    Span {
        offset: index(offset),
        length: index(arena.len() - offset),
    }
}

fn index(length: usize) -> u32 {
    u32::try_from(length).expect("a batch is bounded to a few MiB")
}

/// Takes packed headers apart; `None` when they are malformed.
pub fn unpack_headers(bytes: &[u8]) -> Option<Vec<(&str, &str)>> {
    if bytes.is_empty() {
        return Some(Vec::new());
    }
    let mut rest = bytes;
    let count = take_number(&mut rest)?;
    // The count is the guest's word: it is believed only as far as bytes follow.
    let mut headers = Vec::with_capacity(count.min(rest.len() / 8));
    for _ in 0..count {
        headers.push((take_text(&mut rest)?, take_text(&mut rest)?));
    }
    rest.is_empty().then_some(headers)
}

fn take_number(rest: &mut &[u8]) -> Option<usize> {
    let (number, tail) = rest.split_first_chunk::<4>()?;
    *rest = tail;
    usize::try_from(u32::from_le_bytes(*number)).ok()
}

fn take_text<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let length = take_number(rest)?;
    let (text, tail) = rest.split_at_checked(length)?;
    *rest = tail;
    std::str::from_utf8(text).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn headers_round_trip(headers in prop::collection::vec(("[a-z0-9-]{1,20}", "\\PC{0,40}"), 0..8)) {
            let mut arena = vec![7; 3];
            let span = put_headers(&mut arena, &headers);
            let packed = if span.length == 0 { &[][..] } else { &arena[span.offset as usize..][..span.length as usize] };
            let read = unpack_headers(packed).unwrap();
            prop_assert_eq!(read.into_iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect::<Vec<_>>(), headers);
        }

        #[test]
        fn any_bytes_are_headers_or_nothing(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = unpack_headers(&bytes);
        }
    }
}
