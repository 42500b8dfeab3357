//! Where the mirror's records lie: one channel in one partition of one topic, in the order of
//! the stream, and no partition written by two streams.
//!
//! State: none. Must not know: what the records hold.

use std::collections::{BTreeMap, HashMap};
use std::mem::{Discriminant, discriminant};

use super::mirror::{named, offset};
use crate::index::Index;
use crate::record::{Kind, Mirrored};
use crate::report::Sink;
use crate::violation::Violation;

pub(crate) fn check(index: &Index<'_>, sink: &mut Sink) {
    let mut partitions: BTreeMap<(&str, i32), Vec<&Mirrored>> = BTreeMap::new();
    for mirrored in &index.history.mirrored {
        let partition = (mirrored.topic.as_str(), mirrored.partition);
        partitions.entry(partition).or_default().push(mirrored);
    }
    for records in partitions.values_mut() {
        records.sort_by_key(|mirrored| mirrored.offset);
        offsets(records, sink);
        order(records, sink);
    }
    channels(index, sink);
    keys(index, sink);
}

/// One record per offset, and one stream per partition.
fn offsets(records: &[&Mirrored], sink: &mut Sink) {
    for pair in records.windows(2) {
        if pair[0].offset == pair[1].offset {
            sink.push(Violation::OffsetReused {
                at: offset(pair[0]),
                first: named(pair[0]),
                second: named(pair[1]),
            });
        }
    }
    if let Some(other) = records
        .iter()
        .find(|record| record.stream != records[0].stream)
    {
        sink.push(Violation::PartitionShared {
            topic: other.topic.clone(),
            partition: other.partition,
            first: named(records[0]),
            second: named(other),
        });
    }
}

/// Within a partition the offsets of a channel rise as its sequences do.
fn order(records: &[&Mirrored], sink: &mut Sink) {
    let mut latest: HashMap<(&str, &str), &Mirrored> = HashMap::new();
    for &record in records {
        let last = latest
            .entry((&record.stream, &record.channel))
            .or_insert(record);
        if record.seq < last.seq {
            sink.push(Violation::MirrorReordered {
                channel: record.channel.clone(),
                earlier: named(record),
                later: named(last),
                at: offset(record),
            });
        } else {
            *last = record;
        }
    }
}

/// Events and dead letters of one channel have topics of their own, so the kind is part of the
/// place; where retention has removed the original, it is not known and nothing is judged.
fn channels(index: &Index<'_>, sink: &mut Sink) {
    let mut homes: HashMap<(&str, Discriminant<Kind>, &str), &Mirrored> = HashMap::new();
    for record in &index.history.mirrored {
        let Some(stored) = index.at(&record.stream, record.seq) else {
            continue;
        };
        let key = (
            record.stream.as_str(),
            discriminant(&stored.kind),
            record.channel.as_str(),
        );
        let first = *homes.entry(key).or_insert(record);
        if (&first.topic, first.partition) != (&record.topic, record.partition) {
            sink.push(Violation::MirrorChannelSplit {
                stream: record.stream.clone(),
                channel: record.channel.clone(),
                first: offset(first),
                second: offset(record),
            });
        }
    }
}

fn keys(index: &Index<'_>, sink: &mut Sink) {
    let mut homes: HashMap<(&str, &str), &Mirrored> = HashMap::new();
    for record in &index.history.mirrored {
        let first = *homes.entry((&record.topic, &record.key)).or_insert(record);
        if first.partition != record.partition {
            sink.push(Violation::MirrorKeySplit {
                key: record.key.clone(),
                first: offset(first),
                second: offset(record),
            });
        }
    }
}
