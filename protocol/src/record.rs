//! The mirror's records in Kafka: topics, keys and the progress record.
//!
//! An event's record: key = channel, value = payload, headers = the event's own
//! with all values, plus `eddy-position` and `eddy-subject`; CreateTime = store
//! time in milliseconds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::name::{FunctionName, StoreName, Tenant};
use crate::position::Epoch;
use crate::stream::StreamName;
use crate::subject::{Kind, Parsed};

/// First part of every topic unless the mirror's settings say otherwise.
pub const TOPIC_PREFIX_DEFAULT: &str = "eddyline";

/// Longest name of a topic, bytes: Kafka's own limit.
pub const TOPIC_BYTES_MAX: usize = 249;

/// The topic that a subject's records go to, `None` for what is not mirrored:
/// checkpoints, which are no events. `_` is written `__` and `.` separates, so
/// that no two subjects of different kinds share a topic (Kafka takes `.` and
/// `_` for the same in metric names). Where that is longer than Kafka takes, the two
/// names become `_h` and their 128-bit XXH3, which no escaped name looks like.
pub fn topic(prefix: &str, parsed: &Parsed) -> Option<String> {
    match parsed {
        Parsed::Event {
            kind,
            tenant,
            channel,
            ..
        } => event_topic(prefix, *kind, tenant, channel.namespace()),
        Parsed::DeadLetter {
            store, function, ..
        } => Some(dead_letter_topic(prefix, store, function)),
        Parsed::Checkpoint { .. } => None,
    }
}

/// The topic of a namespace's events of a kind; `None` for what is not mirrored.
pub fn event_topic(prefix: &str, kind: Kind, tenant: &Tenant, namespace: &str) -> Option<String> {
    let kind = match kind {
        Kind::In => "in",
        Kind::Ev => "ev",
        _ => return None,
    };
    Some(name(prefix, kind, tenant.as_str(), namespace))
}

/// The topic of a function's dead letters.
pub fn dead_letter_topic(prefix: &str, store: &StoreName, function: &FunctionName) -> String {
    name(prefix, "rej", store.as_str(), function.as_str())
}

fn name(prefix: &str, kind: &str, one: &str, other: &str) -> String {
    let plain = format!("{prefix}.{kind}.{}.{}", escape(one), escape(other));
    if plain.len() <= TOPIC_BYTES_MAX {
        return plain;
    }
    // Neither name has a dot.
    let both = format!("{one}.{other}");
    let hash = xxhash_rust::xxh3::xxh3_128(both.as_bytes());
    format!("{prefix}.{kind}._h{hash:032x}")
}

/// The topic of the progress records: compacted, one partition per shard.
pub fn progress_topic(prefix: &str) -> String {
    format!("{prefix}.progress")
}

fn escape(token: &str) -> String {
    token.replace('_', "__")
}

/// What the mirror commits in each transaction with its records. JSON; the key
/// is the stream's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The mirrored stream.
    pub stream: StreamName,
    /// The store's epoch.
    pub epoch: Epoch,
    /// Everything up to this sequence is mirrored, or recorded as a gap.
    pub seq: u64,
    /// Store time of that event, microseconds since 1970; 0 before the first.
    pub time: u64,
    /// What could not be mirrored, newest last; bounded by [`GAPS_KEPT_MAX`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<MirrorGap>,
    /// Partitions of each topic written so far.
    #[serde(default)]
    pub partitions: BTreeMap<String, i32>,
    /// Kafka's own id of each of them: another one means that the topic was deleted
    /// and made anew.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub topic_ids: BTreeMap<String, String>,
    /// Topics that are passed over at the moment, and what they have missed so far.
    /// A topic that is written again leaves its gap in `gaps`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub passed: BTreeMap<String, MirrorGap>,
    /// Revision of the lease under which it was written.
    pub lease: u64,
}

/// Gaps that a progress record repeats. Every gap is also written as a record of
/// its own when it is found.
pub const GAPS_KEPT_MAX: usize = 100;

/// A range of sequences of which Kafka does not hold every event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MirrorGap {
    /// First sequence.
    pub from: u64,
    /// Last sequence.
    pub to: u64,
    /// Why.
    pub reason: MirrorGapReason,
    /// Only the events of this topic are missing; without it, all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
}

impl MirrorGap {
    /// The key of its own record in the progress topic. A gap that grows keeps its
    /// key, so that compaction leaves the last of its records.
    pub fn key(&self, stream: &StreamName) -> String {
        match &self.topic {
            None => format!("{stream}/gap/{}", self.from),
            Some(topic) => format!("{stream}/gap/{}/{topic}", self.from),
        }
    }
}

/// Why events could not be mirrored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MirrorGapReason {
    /// Retention passed before the mirror.
    Retention,
    /// A hole in the stream: its streams allow no deletes, so this is a loss.
    Hole,
    /// Its topic was not as the mirror made it: gone, made anew, or with other
    /// partitions or settings.
    Topic,
    /// The event is larger than its topic takes.
    TooLarge,
    /// What the stream holds there cannot be read.
    Unreadable,
}

impl MirrorGapReason {
    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Retention => "retention",
            Self::Hole => "hole",
            Self::Topic => "topic",
            Self::TooLarge => "too_large",
            Self::Unreadable => "unreadable",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_never_longer_than_kafka_takes() {
        let named = |tenant: &str, namespace: &str| {
            let subject = format!("ev.main.0.{tenant}.{namespace}.a");
            topic("eddyline", &Parsed::parse(&subject).unwrap()).unwrap()
        };
        assert_eq!(named("ac_me", "doc"), "eddyline.ev.ac__me.doc");
        let (long, longer) = ("t".repeat(64), "_".repeat(63));
        assert_eq!(named(&long, &format!("n{longer}")).len(), 12 + 64 + 1 + 127);
        let hashed = named(&format!("t{longer}"), &format!("n{longer}"));
        assert!(hashed.starts_with("eddyline.ev._h") && hashed.len() == 12 + 34);
        assert_ne!(hashed, named(&format!("u{longer}"), &format!("n{longer}")));
    }

    /// A record of before topic ids were kept is read, and what is not there is not
    /// written.
    #[test]
    fn progress_without_topic_ids_stays_readable() {
        let text = r#"{"stream":"EVENTS-main","epoch":"9f","seq":9,"time":5,"gaps":[{"from":5,"to":9,"reason":"retention"}],"partitions":{"t":6},"lease":14}"#;
        let progress: Progress = serde_json::from_str(text).unwrap();
        assert!(progress.topic_ids.is_empty() && progress.passed.is_empty());
        assert_eq!(serde_json::to_string(&progress).unwrap(), text);
    }

    #[test]
    fn a_gap_of_one_topic_has_a_key_of_its_own() {
        let stream = StreamName::parse("EVENTS-main").unwrap();
        let mut gap = MirrorGap {
            from: 5,
            to: 9,
            reason: MirrorGapReason::Topic,
            topic: None,
        };
        assert_eq!(gap.key(&stream), "EVENTS-main/gap/5");
        gap.topic = Some("eddyline.ev.acme.doc".into());
        assert_eq!(gap.key(&stream), "EVENTS-main/gap/5/eddyline.ev.acme.doc");
        let text = serde_json::to_string(&gap).unwrap();
        assert!(text.contains(gap.reason.as_str()));
        assert_eq!(serde_json::from_str::<MirrorGap>(&text).unwrap(), gap);
    }
}
