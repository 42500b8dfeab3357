//! Nothing invented, and one effect per id.
//!
//! An event that was sent and never acknowledged may be stored or not, but at most once. What a
//! function wrote is judged by the functions' check; here its ids are unique like any other.
//!
//! State: none. Must not know: acknowledgements.

use std::collections::HashMap;

use crate::index::{Index, client_key, event_id, place};
use crate::record::{Kind, Stored};
use crate::report::Sink;
use crate::violation::Violation;

/// Refusals that say nothing about whether the id is stored: the first because it is, with
/// another body; the second because nobody can know any more.
const SILENT_ON_STORAGE: [&str; 2] = ["id_reused", "outcome_unknown"];

/// Whether a refusal claims that the event is not stored.
pub(crate) fn denies_storage(refused: &crate::record::Refused) -> bool {
    !refused.temporary && !SILENT_ON_STORAGE.contains(&refused.code.as_str())
}

pub(crate) fn check(index: &Index<'_>, sink: &mut Sink) {
    let mut effects: HashMap<&str, &Stored> = HashMap::with_capacity(index.history.stored.len());
    for stored in index.streams.values().flatten() {
        if matches!(stored.kind, Kind::In | Kind::Ev) {
            let first = *effects.entry(&stored.id).or_insert(stored);
            if !std::ptr::eq(first, *stored) {
                sink.push(Violation::StoredTwice {
                    id: stored.id.clone(),
                    first: place(first),
                    second: place(stored),
                });
            }
        }
        origin(index, stored, sink);
    }
    refusals(index, sink);
}

/// Every message has an author: a client that sent it, a function that names its input, or a
/// schedule.
fn origin<'h>(index: &Index<'h>, stored: &'h Stored, sink: &mut Sink) {
    let by_function = stored.function.is_some();
    let known = match stored.kind {
        Kind::Checkpoint { .. } => by_function,
        Kind::DeadLetter => by_function && stored.source.is_some(),
        Kind::In | Kind::Ev if by_function => stored.source.is_some(),
        // Judged as ticks.
        Kind::Ev if stored.tick.is_some() => true,
        Kind::In | Kind::Ev => return sent(index, stored, sink),
    };
    if !known {
        invented(stored, sink);
    }
}

fn invented(stored: &Stored, sink: &mut Sink) {
    sink.push(Violation::StoredInvented {
        place: place(stored),
        id: stored.id.clone(),
        channel: stored.channel.clone(),
    });
}

/// A client's event is stored as it was sent. A test that reuses an id on purpose sent several
/// events under it; any one of them may be the stored one.
fn sent<'h>(index: &Index<'h>, stored: &'h Stored, sink: &mut Sink) {
    let Some(key) = client_key(stored) else {
        return invented(stored, sink);
    };
    let Some(first) = index.sends(key).next() else {
        return invented(stored, sink);
    };
    let same =
        |sent: &crate::record::Sent| sent.body == stored.body && sent.channel == stored.channel;
    if index.sends(key).any(same) {
        return;
    }
    if first.body != stored.body {
        sink.push(Violation::StoredBodyDiffers {
            id: stored.id.clone(),
            place: place(stored),
            sent: first.body,
            stored: stored.body,
        });
    }
    if first.channel != stored.channel {
        sink.push(Violation::StoredChannelDiffers {
            id: stored.id.clone(),
            place: place(stored),
            sent: first.channel.clone(),
            stored: stored.channel.clone(),
        });
    }
}

fn refusals(index: &Index<'_>, sink: &mut Sink) {
    for refused in index.history.refused.iter().filter(|r| denies_storage(r)) {
        let key = (refused.publisher.as_str(), refused.n);
        if let Some(stored) = index.client_event(key) {
            sink.push(Violation::RefusedButStored {
                id: event_id(key),
                code: refused.code.clone(),
                place: place(stored),
            });
        }
    }
}
