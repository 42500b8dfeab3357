//! Finds an id on its channel, newest first: who asks has mostly just published.
//!
//! Owns nothing. A stream indexes subjects and sequences, and no ids, so the channel's
//! events are looked at in windows of sequences, each read upwards. The work is bounded
//! by events, bytes and windows; an answer says how far it has come, and the next
//! question goes on below.

use bus::{Bus, BusError, Portion};
use futures_util::StreamExt;
use protocol::bus::Stored;
use protocol::header;
use protocol::stream::StreamName;
use protocol::subject::Subject;
use protocol::trace::Searched;

/// Events that one answer looks at: some tenths of a second.
pub const EVENTS_MAX: usize = 5_000;
/// Bytes of events that it reads, of which it keeps none.
pub const BYTES_MAX: usize = 16 << 20;
/// Windows of an answer: a channel with few events in a long stream needs some.
const WINDOWS_MAX: usize = 64;
/// Sequences of the first window: the newest events of a busy store.
const SPAN_FIRST: u64 = 512;
/// Events of a window; more of them and it is given up for a smaller one.
const WINDOW_EVENTS_MAX: usize = 1_000;
/// Bytes of a window, likewise.
const WINDOW_BYTES_MAX: usize = 4 << 20;
/// By how much a window grows.
const FACTOR: u64 = 4;

/// What may still be looked at.
#[derive(Debug)]
struct Budget {
    events: usize,
    bytes: usize,
}

impl Budget {
    fn is_spent(&self) -> bool {
        self.events == 0 || self.bytes == 0
    }

    fn spend(&mut self, event: &Stored) {
        self.events = self.events.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(event.payload.len());
    }
}

/// What a window holds.
enum Window {
    Found(Box<Stored>),
    /// So many others.
    Others(usize),
    /// Too many of them to say: so many sequences held as many as may be.
    Full(u64),
}

/// A channel in a stream.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The stream.
    pub stream: &'a StreamName,
    /// The channel's subject there.
    pub subject: &'a Subject,
}

/// The newest event with this id on a channel, and what was looked at; of sequences below
/// `before` alone, if it is given. Cancel safe.
///
/// # Errors
/// Those of the bus.
pub async fn newest(
    bus: &Bus,
    place: Place<'_>,
    id: &str,
    before: Option<u64>,
) -> Result<(Option<Stored>, Searched), BusError> {
    let state = bus.stream_state(place.stream).await?;
    let end = state.last_seq + 1;
    let to = before.unwrap_or(end).min(end);
    let mut low = to;
    let searched = |low: u64, more: bool| Searched {
        stream: place.stream.as_str().to_owned(),
        from: low,
        to: to.saturating_sub(1),
        more,
        kept_from: state.first_seq,
        kept_since: state.first_time_us,
    };
    let mut budget = Budget {
        events: EVENTS_MAX,
        bytes: BYTES_MAX,
    };
    let mut span = SPAN_FIRST;
    for _ in 0..WINDOWS_MAX {
        let newest = bus.last_before(place.stream, place.subject, low).await?;
        let Some(newest) = newest.filter(|seq| *seq >= state.first_seq) else {
            return Ok((None, searched(state.first_seq, false)));
        };
        // Whoever goes on below has to come further with each answer.
        if budget.is_spent() && low < to {
            return Ok((None, searched(low, true)));
        }
        let bottom = newest.saturating_sub(span - 1).max(state.first_seq).max(1);
        match window(bus, place, id, (bottom, newest), &mut budget).await? {
            Window::Found(event) => {
                let at = event.seq;
                return Ok((Some(*event), searched(at, false)));
            }
            Window::Others(count) => {
                low = bottom;
                if count < WINDOW_EVENTS_MAX / FACTOR as usize {
                    span = span.saturating_mul(FACTOR);
                }
            }
            // Events above lie about as close as those at the bottom did.
            Window::Full(sequences) => span = (sequences / 2).max(1),
        }
    }
    Ok((None, searched(low, true)))
}

async fn window(
    bus: &Bus,
    place: Place<'_>,
    id: &str,
    range: (u64, u64),
    budget: &mut Budget,
) -> Result<Window, BusError> {
    let portion = Portion {
        events: 256,
        bytes: 1 << 20,
    };
    let scan = bus.scan_page(place.stream, place.subject, range, portion);
    let (mut scan, mut found) = (scan.await, None);
    let (mut count, mut bytes) = (0, 0);
    while let Some(event) = scan.next().await {
        let event = event?;
        let event_seq = event.seq;
        budget.spend(&event);
        (count, bytes) = (count + 1, bytes + event.payload.len());
        if event.headers.get(header::ID) == Some(id) {
            found = Some(Box::new(event));
        }
        let full = count >= WINDOW_EVENTS_MAX || bytes >= WINDOW_BYTES_MAX;
        // One sequence is always looked at, however long its event.
        if full && range.0 < range.1 {
            return Ok(Window::Full(event_seq - range.0 + 1));
        }
    }
    Ok(found.map_or(Window::Others(count), Window::Found))
}
