//! Completeness: each subscriber received what the log holds, once, in order, and could prove it.
//!
//! State: none. Must not know: who published, or how a break was repaired.

use std::collections::{HashMap, HashSet};

use crate::index::{Index, slice_between};
use crate::ranges::Ranges;
use crate::record::{Delivered, Kind, Stored, Subscription};
use crate::report::Sink;
use crate::violation::Violation;

/// One subscriber's view of one channel.
#[derive(Default)]
struct View<'h> {
    owed: Vec<&'h Subscription>,
    delivered: Vec<&'h Delivered>,
}

pub(crate) fn check(index: &Index<'_>, sink: &mut Sink) {
    for view in views(index) {
        if view.owed.is_empty() {
            let first = view.delivered[0];
            sink.push(Violation::NotSubscribed {
                subscriber: first.subscriber.clone(),
                channel: first.channel.clone(),
                seq: first.seq,
                count: view.delivered.len() as u64,
            });
            continue;
        }
        let gaps = Ranges::new(view.owed.iter().flat_map(|owed| owed.gaps.iter().copied()));
        let seen = arrivals(&view, &gaps, sink);
        for delivered in &view.delivered {
            content(index, &view.owed[0].stream, delivered, sink);
        }
        missing(index, &view, &gaps, &seen, sink);
        false_gaps(index, &view, &seen, sink);
    }
}

/// Views in the order in which the history first names them, so that reports are stable.
fn views<'h>(index: &Index<'h>) -> Vec<View<'h>> {
    let mut places: HashMap<(&str, &str), usize> = HashMap::new();
    let mut views: Vec<View<'h>> = Vec::new();
    let mut slot = |subscriber: &'h str, channel: &'h str, views: &mut Vec<View<'h>>| {
        *places.entry((subscriber, channel)).or_insert_with(|| {
            views.push(View::default());
            views.len() - 1
        })
    };
    for owed in &index.history.subscriptions {
        let at = slot(&owed.subscriber, &owed.channel, &mut views);
        views[at].owed.push(owed);
    }
    for delivered in &index.history.delivered {
        let at = slot(&delivered.subscriber, &delivered.channel, &mut views);
        views[at].delivered.push(delivered);
    }
    views
}

/// Order and chain. `prev` may be lower than the last delivery (retention sets it to 0), never
/// higher than what the subscriber has proof of: a delivery, its start, or an announced gap.
fn arrivals(view: &View<'_>, gaps: &Ranges, sink: &mut Sink) -> HashSet<u64> {
    let mut seen = HashSet::with_capacity(view.delivered.len());
    let mut last = 0;
    for delivered in &view.delivered {
        let (subscriber, channel) = (&delivered.subscriber, &delivered.channel);
        let seq = delivered.seq;
        let starts = view.owed.iter().map(|owed| owed.from_seq);
        let Some(from) = starts.clone().filter(|from| *from < seq).max() else {
            sink.push(Violation::DeliveredOutsideRange {
                subscriber: subscriber.clone(),
                channel: channel.clone(),
                seq,
                from: starts.min().unwrap_or(0),
            });
            continue;
        };
        if !seen.insert(seq) {
            sink.push(Violation::DeliveredTwice {
                subscriber: subscriber.clone(),
                channel: channel.clone(),
                seq,
            });
        } else if seq < last {
            sink.push(Violation::DeliveredOutOfOrder {
                subscriber: subscriber.clone(),
                channel: channel.clone(),
                seq,
                after: last,
            });
        }
        let known = last.max(from).max(gaps.end_before(seq));
        if delivered.prev > known || delivered.prev >= seq {
            sink.push(Violation::ChainBroken {
                subscriber: subscriber.clone(),
                channel: channel.clone(),
                seq,
                prev: delivered.prev,
                known,
            });
        }
        last = last.max(seq);
    }
    seen
}

/// What was delivered is what is stored. Below the retained part nothing can be compared.
fn content<'h>(index: &Index<'h>, stream: &'h str, delivered: &Delivered, sink: &mut Sink) {
    let subscriber = || delivered.subscriber.clone();
    let channel = || delivered.channel.clone();
    let seq = delivered.seq;
    let stored = match index.at(stream, seq) {
        Some(stored) if stored.kind == Kind::Ev && stored.channel == delivered.channel => stored,
        None if seq < index.retained_from(stream) => return,
        _ => {
            return sink.push(Violation::DeliveredInvented {
                subscriber: subscriber(),
                channel: channel(),
                seq,
                id: delivered.id.clone(),
            });
        }
    };
    if stored.body != delivered.body {
        sink.push(Violation::DeliveredBodyDiffers {
            subscriber: subscriber(),
            channel: channel(),
            seq,
            delivered: delivered.body,
            stored: stored.body,
        });
    }
    if stored.id != delivered.id {
        sink.push(Violation::DeliveredIdDiffers {
            subscriber: subscriber(),
            channel: channel(),
            seq,
            delivered: delivered.id.clone(),
            stored: stored.id.clone(),
        });
    }
}

/// The channel's events in the stream of a subscription, in a range of sequences.
fn events<'s, 'h>(
    index: &'s Index<'h>,
    owed: &Subscription,
    from: u64,
    to: u64,
) -> &'s [&'h Stored] {
    let list = index
        .channels
        .get(owed.channel.as_str())
        .map_or(&[][..], Vec::as_slice);
    // A channel has one home; if not, that is reported, and the stream's part is judged here.
    let start = list.partition_point(|stored| stored.stream < owed.stream);
    let end = list.partition_point(|stored| stored.stream <= owed.stream);
    slice_between(&list[start..end], from, to)
}

fn missing(
    index: &Index<'_>,
    view: &View<'_>,
    gaps: &Ranges,
    seen: &HashSet<u64>,
    sink: &mut Sink,
) {
    for owed in &view.owed {
        for stored in events(index, owed, owed.from_seq.saturating_add(1), owed.until_seq) {
            if gaps.contains(stored.seq) {
                continue;
            }
            sink.counts().deliveries_owed += 1;
            if !seen.contains(&stored.seq) {
                sink.push(Violation::DeliveryMissing {
                    subscriber: owed.subscriber.clone(),
                    channel: owed.channel.clone(),
                    seq: stored.seq,
                    id: stored.id.clone(),
                });
            }
        }
    }
}

/// A gap is true only of what retention had removed. The first retained sequence never falls,
/// so what is retained at the end was there when the gap was announced.
fn false_gaps(index: &Index<'_>, view: &View<'_>, seen: &HashSet<u64>, sink: &mut Sink) {
    for owed in &view.owed {
        let retained = index.retained_from(&owed.stream);
        for &(from, to) in &owed.gaps {
            let kept = events(index, owed, from.max(retained), to)
                .first()
                .map(|stored| stored.seq);
            let had = || {
                seen.iter()
                    .copied()
                    .filter(|seq| (from..=to).contains(seq))
                    .min()
            };
            if let Some(seq) = kept.or_else(had) {
                sink.push(Violation::GapFalse {
                    subscriber: owed.subscriber.clone(),
                    channel: owed.channel.clone(),
                    from,
                    to,
                    seq,
                });
            }
        }
    }
}
