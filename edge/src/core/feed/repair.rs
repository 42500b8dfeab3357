//! Reads from the stream what a feed has missed.
//!
//! Owns nothing. Retention is judged from the stream's first sequence, before and
//! after the read, because it may pass meanwhile.

use std::sync::Arc;

use bus::{Bus, BusError};
use bytes::Bytes;
use chain::state::{Missing, Repaired};
use futures_util::StreamExt;
use protocol::stream::StreamName;
use protocol::subject::Subject;

use crate::core::delivery::Encoded;
use crate::core::leader;

/// Most events of one part of a repair; the next part follows once they are relayed.
const PART_EVENTS_MAX: usize = 512;
/// Bytes after which a part ends.
const PART_BYTES_MAX: usize = 1 << 20;

/// Where a channel's events are.
#[derive(Debug, Clone)]
pub struct Source {
    /// The channel, as frames name it.
    pub channel: Arc<str>,
    /// The stream.
    pub stream: StreamName,
    /// The channel's subject in it.
    pub subject: Subject,
}

/// What retention has taken of the range after `after` up to `to`, if the stream now
/// begins with `first`.
pub fn lost(after: u64, to: u64, first: u64) -> Option<(u64, u64)> {
    (first > after + 1 && to > after).then(|| (after + 1, to.min(first - 1)))
}

/// Reads the first part of a missing range. Cancel safe.
///
/// A deposed leader and the one that leads may answer by turns: the one knows of no
/// event, the other says that the stream goes on. So the end of the range counts only
/// if the event that is known to be there was read, or retention has taken it.
///
/// # Errors
/// [`BusError::Behind`] if it is neither; those of the bus. The caller tries again.
pub async fn read(
    bus: &Bus,
    source: &Source,
    missing: Missing,
) -> Result<Repaired<Arc<Encoded>>, BusError> {
    let Missing {
        after,
        to,
        prev,
        known,
    } = missing;
    let first = leader::state(bus, &source.stream, to).await?.first_seq;
    let mut gap = lost(after, to, first);
    let mut part = Repaired {
        events: Vec::new(),
        gap,
        through: to,
    };
    if gap.is_some_and(|(_, end)| end == to) {
        return Ok(part);
    }
    let (from, mut prev) = gap.map_or((after + 1, prev), |(_, end)| (end + 1, 0));
    let mut scan = bus.scan(&source.stream, &source.subject, from, to).await;
    let mut bytes = 0;
    while let Some(event) = scan.next().await {
        let event = event?;
        let seq = event.seq;
        let event = Encoded::stored(source.channel.clone(), compact(event), prev);
        prev = seq;
        bytes += event.size();
        part.events.push(event);
        if part.events.len() >= PART_EVENTS_MAX || bytes >= PART_BYTES_MAX {
            part.through = seq;
            break;
        }
    }
    let first = leader::state(bus, &source.stream, to).await?.first_seq;
    if first > from {
        gap = lost(after, part.through, first);
    }
    part.gap = gap;
    let read = part.events.last().map_or(after, |event| event.seq());
    if part.through == to && read < known && first <= known {
        return Err(BusError::Behind);
    }
    Ok(part)
}

/// The event without the read buffer that its data is a slice of: kept in a ring, a
/// small one would keep a large buffer.
fn compact(mut event: protocol::bus::Stored) -> protocol::bus::Stored {
    event.payload = Bytes::copy_from_slice(&event.payload);
    event
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_retention_took_is_inside_the_range() {
        assert_eq!(lost(5, 10, 6), None);
        assert_eq!(lost(5, 10, 7), Some((6, 6)));
        assert_eq!(lost(5, 10, 50), Some((6, 10)));
        assert_eq!(lost(5, 5, 50), None);
        assert_eq!(lost(0, 3, 1), None);
    }
}
