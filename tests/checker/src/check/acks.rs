//! No acknowledged loss, and acknowledgements that agree with the log and with one another.
//!
//! State: none. Must not know: what became of the event after it was stored.

use std::collections::HashMap;

use super::effects::denies_storage;
use crate::index::{EventKey, Index, event_id, place};
use crate::record::{Acked, Place};
use crate::report::Sink;
use crate::violation::Violation;

/// What is known of one acknowledged event.
struct Seen<'h> {
    first: &'h Acked,
    fresh: bool,
}

pub(crate) fn check(index: &Index<'_>, sink: &mut Sink) {
    let mut seen: HashMap<EventKey<'_>, Seen<'_>> =
        HashMap::with_capacity(index.history.acked.len());
    for ack in &index.history.acked {
        let key = (ack.publisher.as_str(), ack.n);
        sent(index, ack, sink);
        stored(index, ack, sink);
        match seen.get_mut(&key) {
            None => {
                let fresh = !ack.duplicate;
                seen.insert(key, Seen { first: ack, fresh });
            }
            Some(seen) => repeated(seen, ack, sink),
        }
    }
    for refused in index.history.refused.iter().filter(|r| denies_storage(r)) {
        let key = (refused.publisher.as_str(), refused.n);
        if let Some(seen) = seen.get(&key) {
            sink.push(Violation::AckedAndRefused {
                id: event_id(key),
                place: named(seen.first),
                code: refused.code.clone(),
            });
        }
    }
}

fn named(ack: &Acked) -> Place {
    Place::new(&ack.stream, ack.seq)
}

fn id(ack: &Acked) -> String {
    event_id((&ack.publisher, ack.n))
}

fn sent<'h>(index: &Index<'h>, ack: &'h Acked, sink: &mut Sink) {
    let key = (ack.publisher.as_str(), ack.n);
    let mut sends = index.sends(key);
    let Some(first) = sends.next() else {
        return sink.push(Violation::AckInvented {
            id: id(ack),
            place: named(ack),
        });
    };
    if first.channel != ack.channel && sends.all(|sent| sent.channel != ack.channel) {
        sink.push(Violation::AckChannelWrong {
            id: id(ack),
            acked: ack.channel.clone(),
            sent: first.channel.clone(),
        });
    }
}

/// An acknowledgement below the retained part of its stream cannot be judged any more.
fn stored<'h>(index: &Index<'h>, ack: &'h Acked, sink: &mut Sink) {
    match index.client_event((&ack.publisher, ack.n)) {
        Some(stored) if stored.stream != ack.stream || stored.seq != ack.seq => {
            sink.push(Violation::AckPositionWrong {
                id: id(ack),
                acked: named(ack),
                stored: place(stored),
            });
        }
        None if ack.seq >= index.retained_from(&ack.stream) => sink.push(Violation::AckedLost {
            id: id(ack),
            place: named(ack),
        }),
        _ => {}
    }
}

/// Acknowledgements of one event name one position, and at most one of them is the first. They
/// may arrive in any order, because a resend may take another node.
fn repeated(seen: &mut Seen<'_>, ack: &Acked, sink: &mut Sink) {
    if (&seen.first.stream, seen.first.seq) != (&ack.stream, ack.seq) {
        sink.push(Violation::AcksDisagree {
            id: id(ack),
            first: named(seen.first),
            second: named(ack),
        });
    }
    if seen.fresh && !ack.duplicate {
        sink.push(Violation::AckedFreshTwice {
            id: id(ack),
            place: named(ack),
        });
    }
    seen.fresh |= !ack.duplicate;
}
