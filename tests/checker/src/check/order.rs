//! One order: what one publisher sent to one channel is stored in the order of its counter.
//!
//! A resend of an event that is not stored yet counts too: stored after a later event of the
//! same publisher and channel, it is in the wrong place. Outputs of functions are judged by the
//! functions' check.
//!
//! State: none. Must not know: acknowledgements, deliveries.

use std::collections::HashMap;

use crate::index::{Index, client_key, place};
use crate::record::Stored;
use crate::report::Sink;
use crate::violation::Violation;

pub(crate) fn check(index: &Index<'_>, sink: &mut Sink) {
    for list in index.streams.values() {
        let mut latest: HashMap<(&str, &str), (u64, &Stored)> = HashMap::new();
        for stored in list {
            let Some((publisher, n)) = client_key(stored) else {
                continue;
            };
            let last = latest
                .entry((publisher, &stored.channel))
                .or_insert((n, stored));
            if n < last.0 {
                sink.push(Violation::PublisherReordered {
                    publisher: publisher.to_owned(),
                    channel: stored.channel.clone(),
                    earlier: n,
                    earlier_place: place(stored),
                    later: last.0,
                    later_place: place(last.1),
                });
            } else {
                *last = (n, stored);
            }
        }
    }
}
