//! The log itself: one message per sequence, no hole but by retention, one home per channel.
//!
//! State: none. Must not know: who wrote the messages.

use std::collections::HashMap;

use crate::index::{Index, place};
use crate::record::{Kind, Stored};
use crate::report::Sink;
use crate::violation::Violation;

pub(crate) fn check(index: &Index<'_>, sink: &mut Sink) {
    for list in index.streams.values() {
        for pair in list.windows(2) {
            if pair[0].seq == pair[1].seq {
                sink.push(Violation::SequenceReused {
                    place: place(pair[0]),
                    first: pair[0].id.clone(),
                    second: pair[1].id.clone(),
                });
            }
        }
    }
    holes(index, sink);
    homes(index, sink);
}

/// Streams never delete single messages, so a missing sequence is a lost message.
fn holes(index: &Index<'_>, sink: &mut Sink) {
    for state in &index.history.streams {
        let from = state.retained_from.max(1);
        let mut next = from;
        let mut hole = |next: u64, to: u64| {
            sink.push(Violation::StreamHole {
                stream: state.stream.clone(),
                from: next,
                to,
            });
        };
        for stored in index.between(&state.stream, from, state.last_seq) {
            if stored.seq > next {
                hole(next, stored.seq - 1);
            }
            next = stored.seq + 1;
        }
        if next <= state.last_seq {
            hole(next, state.last_seq);
        }
    }
}

/// A channel lives in one stream for raw input and in one for events, and in one lane of each.
fn homes(index: &Index<'_>, sink: &mut Sink) {
    let mut homes: HashMap<(bool, &str), &Stored> = HashMap::new();
    for stored in index.streams.values().flatten() {
        let raw = match stored.kind {
            Kind::In => true,
            Kind::Ev => false,
            Kind::DeadLetter | Kind::Checkpoint { .. } => continue,
        };
        let first = *homes.entry((raw, &stored.channel)).or_insert(stored);
        if first.stream != stored.stream {
            sink.push(Violation::ChannelInTwoStreams {
                channel: stored.channel.clone(),
                first: place(first),
                second: place(stored),
            });
        } else if first.lane != stored.lane {
            sink.push(Violation::ChannelInTwoLanes {
                channel: stored.channel.clone(),
                first: place(first),
                first_lane: first.lane,
                second: place(stored),
                second_lane: stored.lane,
            });
        }
    }
}
