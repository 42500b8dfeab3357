//! The mirror equals the stream: every event, outcome and dead letter once, with the same
//! content, and nothing else but announced gaps.
//!
//! State: none. Must not know: transactions or progress records; it judges what an independent
//! reader found. Where records lie in Kafka is judged by `partitions`.

use std::collections::{HashMap, HashSet};

use crate::index::{Index, place};
use crate::ranges::Ranges;
use crate::record::{Kind, MirrorGap, Mirrored, Place, Stored};
use crate::report::Sink;
use crate::violation::Violation;

pub(crate) fn check(index: &Index<'_>, sink: &mut Sink) {
    let mut seen: HashMap<(&str, u64), &Mirrored> =
        HashMap::with_capacity(index.history.mirrored.len());
    for mirrored in &index.history.mirrored {
        let first = *seen
            .entry((&mirrored.stream, mirrored.seq))
            .or_insert(mirrored);
        if !std::ptr::eq(first, mirrored) {
            sink.push(Violation::MirroredTwice {
                place: named(mirrored),
                first: offset(first),
                second: offset(mirrored),
            });
        }
        content(index, mirrored, sink);
    }
    let seen: HashSet<(&str, u64)> = seen.into_keys().collect();
    missing(index, &seen, sink);
    false_gaps(index, sink);
}

/// The place that a mirrored record names.
pub(crate) fn named(mirrored: &Mirrored) -> Place {
    Place::new(&mirrored.stream, mirrored.seq)
}

/// Where a mirrored record is: `topic[partition]@offset`.
pub(crate) fn offset(mirrored: &Mirrored) -> String {
    format!(
        "{}[{}]@{}",
        mirrored.topic, mirrored.partition, mirrored.offset
    )
}

fn content<'h>(index: &Index<'h>, mirrored: &'h Mirrored, sink: &mut Sink) {
    let (place, at) = (|| named(mirrored), || offset(mirrored));
    let Some(stored) = index.at(&mirrored.stream, mirrored.seq) else {
        if mirrored.seq >= index.retained_from(&mirrored.stream) {
            let id = mirrored.id.clone();
            sink.push(Violation::MirroredInvented {
                place: place(),
                id,
                at: at(),
            });
        }
        return;
    };
    if !owed(stored) {
        return sink.push(Violation::MirroredCheckpoint {
            place: place(),
            at: at(),
        });
    }
    if stored.body != mirrored.body {
        sink.push(Violation::MirroredBodyDiffers {
            place: place(),
            at: at(),
            mirrored: mirrored.body,
            stored: stored.body,
        });
    }
    if stored.id != mirrored.id {
        sink.push(Violation::MirroredIdDiffers {
            place: place(),
            at: at(),
            mirrored: mirrored.id.clone(),
            stored: stored.id.clone(),
        });
    }
    if stored.channel != mirrored.channel {
        sink.push(Violation::MirroredChannelDiffers {
            place: place(),
            at: at(),
            mirrored: mirrored.channel.clone(),
            stored: stored.channel.clone(),
        });
    }
}

/// Whether the mirror owes a stored message: all but checkpoints.
fn owed(stored: &Stored) -> bool {
    !matches!(stored.kind, Kind::Checkpoint { .. })
}

fn missing(index: &Index<'_>, seen: &HashSet<(&str, u64)>, sink: &mut Sink) {
    for mirror in &index.history.mirrored_streams {
        let gaps = index.history.mirror_gaps.iter();
        let gaps = gaps.filter(|gap| gap.stream == mirror.stream);
        let gaps = Ranges::new(gaps.map(|gap| (gap.from, gap.to)));
        let stored = index.between(&mirror.stream, 0, mirror.until_seq);
        for stored in stored.iter().filter(|stored| owed(stored)) {
            if gaps.contains(stored.seq) {
                continue;
            }
            sink.counts().mirror_owed += 1;
            if !seen.contains(&(stored.stream.as_str(), stored.seq)) {
                sink.push(Violation::MirrorMissing {
                    place: place(stored),
                    id: stored.id.clone(),
                });
            }
        }
    }
}

/// A gap is true only of what retention had removed before it was mirrored.
fn false_gaps(index: &Index<'_>, sink: &mut Sink) {
    if index.history.mirror_gaps.is_empty() {
        return;
    }
    let mut held: HashMap<&str, Vec<u64>> = HashMap::new();
    for mirrored in &index.history.mirrored {
        held.entry(&mirrored.stream).or_default().push(mirrored.seq);
    }
    held.values_mut().for_each(|seqs| seqs.sort_unstable());
    for gap in &index.history.mirror_gaps {
        let MirrorGap { stream, from, to } = gap;
        let start = (*from).max(index.retained_from(stream));
        let kept = index
            .between(stream, start, *to)
            .iter()
            .find(|stored| owed(stored));
        let had = || {
            let seqs = held.get(stream.as_str())?;
            let next = seqs.get(seqs.partition_point(|seq| seq < from))?;
            (next <= to).then_some(*next)
        };
        if let Some(seq) = kept.map(|stored| stored.seq).or_else(had) {
            sink.push(Violation::MirrorGapFalse {
                stream: stream.clone(),
                from: *from,
                to: *to,
                seq,
            });
        }
    }
}
