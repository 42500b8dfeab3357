//! Finds a channel's events towards the beginning, newest first, of a stream that is
//! read upwards alone: in windows of sequences below what is known, each read upwards
//! and turned round.
//!
//! The work is bounded: a window that holds nothing costs a jump to the channel's event
//! before it, the next one is larger, and one that holds too much is given up for a
//! smaller one. After [`WINDOWS_MAX`] the page ends where it is; it accounts for what
//! was looked at, and the next page goes on below.

use bus::{Bus, BusError, Portion};
use futures_util::StreamExt;
use protocol::bus::Stored;

use archive::events::{Events, PAGE_BYTES_MAX, size};

use super::page::Found;
use crate::core::feed::repair::Source;

/// Windows of one page.
const WINDOWS_MAX: usize = 16;
/// Most events of a window, and bytes; one event is always taken.
const WINDOW_EVENTS_MAX: usize = 512;
const WINDOW_BYTES_MAX: usize = 2 * PAGE_BYTES_MAX;
/// By how much a window grows, or shrinks.
const WINDOW_FACTOR: u64 = 4;

/// Reads the channel's events below `before`, at most `limit`, of a stream that begins
/// with `begins`. Cancel safe.
///
/// # Errors
/// Those of the bus.
pub async fn read(
    bus: &Bus,
    source: &Source,
    before: u64,
    limit: usize,
    begins: u64,
) -> Result<Found, BusError> {
    let mut events = Events::new(limit);
    // What has been looked at goes down to here.
    let mut low = before;
    let mut span = limit as u64;
    for _ in 0..WINDOWS_MAX {
        let newest = previous(bus, source, low, begins).await?;
        let Some(newest) = newest.filter(|_| !events.is_full()) else {
            return Ok(found(events, before, low, newest));
        };
        let bottom = newest.saturating_sub(span - 1).max(begins).max(1);
        let Some(window) = window(bus, source, bottom, newest).await? else {
            span = (span / WINDOW_FACTOR).max(1);
            continue;
        };
        for event in window.into_iter().rev() {
            let seq = event.seq;
            if !events.push(event) {
                // This one, and so something, is still below.
                return Ok(found(events, before, low, Some(seq)));
            }
            low = seq;
        }
        if !events.is_full() {
            low = bottom;
        }
        span = span.saturating_mul(WINDOW_FACTOR);
    }
    let newest = previous(bus, source, low, begins).await?;
    Ok(found(events, before, low, newest))
}

/// What was read, if the channel's next event below `low` is `below`.
fn found(events: Events, before: u64, low: u64, below: Option<u64>) -> Found {
    Found {
        events: events.into_list(),
        lack: None,
        // With nothing below, everything has been looked at.
        first_seq: below.map_or(1, |_| low),
        last_seq: before.saturating_sub(1),
        prev: below.unwrap_or(0),
        more: below.is_some(),
    }
}

async fn previous(
    bus: &Bus,
    source: &Source,
    before: u64,
    begins: u64,
) -> Result<Option<u64>, BusError> {
    let last = bus.last_before(&source.stream, &source.subject, before);
    Ok(last.await?.filter(|seq| *seq >= begins))
}

/// The events of a window; `None` if they are too many.
async fn window(
    bus: &Bus,
    source: &Source,
    from: u64,
    to: u64,
) -> Result<Option<Vec<Stored>>, BusError> {
    let portion = Portion {
        events: WINDOW_EVENTS_MAX,
        bytes: WINDOW_BYTES_MAX,
    };
    let scan = bus.scan_page(&source.stream, &source.subject, (from, to), portion);
    let mut scan = scan.await;
    let (mut events, mut bytes) = (Vec::new(), 0);
    while let Some(event) = scan.next().await {
        let event = event?;
        bytes += size(&event);
        let over = events.len() >= WINDOW_EVENTS_MAX || bytes > WINDOW_BYTES_MAX;
        if over && !events.is_empty() {
            return Ok(None);
        }
        events.push(event);
    }
    Ok(Some(events))
}
