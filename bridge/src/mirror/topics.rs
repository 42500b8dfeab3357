//! The topics of one shard: which of them the mirror writes, and which it passes
//! over, and what those have missed. A topic's partitions are fixed when the mirror
//! first writes it and its id is Kafka's own; the progress record remembers both,
//! because a key's order holds only as long as the first stays, and what was mirrored
//! only as long as the second does.
//!
//! Owns the list for one run; the progress record is where it lives. Pure: knows
//! nothing of clients.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use protocol::record::{MirrorGap, MirrorGapReason, Progress};

use crate::kafka::describe::Description;
use crate::kafka::ground::Difference;

/// Why a topic is passed over. Remedy, where the topic cannot be had back as it was:
/// `on_broken_topic` = `adopt`, or another topic prefix, which mirrors everything anew.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Trouble {
    /// No broker knows it. It may come back as it was.
    #[error("topic {topic} is gone")]
    Gone { topic: String },
    /// Somebody has deleted it and made it anew.
    #[error("topic {topic} was made anew: what had been mirrored into it is gone")]
    Anew { topic: String },
    /// Keys would change their partition and lose their order.
    #[error("topic {topic} has {found} partitions, the mirror began with {recorded}")]
    Partitions {
        topic: String,
        recorded: i32,
        found: i32,
    },
    /// It holds records of this stream, or of somebody who is no mirror, of which the
    /// progress record does not speak: writing would write them twice, or it is not
    /// ours.
    #[error("topic {topic} holds records that the mirror's progress does not speak of")]
    Foreign { topic: String },
    /// A setting is not what exactness rests on.
    #[error(transparent)]
    Ground(#[from] Difference),
    /// Kafka will not have it.
    #[error("kafka refuses to make topic {topic}: {problem}")]
    Refused { topic: String, problem: String },
}

impl Trouble {
    /// Whether what was mirrored before is gone too.
    fn loses_past(&self) -> bool {
        matches!(self, Self::Anew { .. })
    }
}

/// What the progress record says of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Recorded {
    pub partitions: i32,
    /// `None`: it was recorded before ids were.
    pub id: Option<String>,
}

impl Recorded {
    /// What is wrong with a topic as it is found now.
    pub(crate) fn trouble(&self, topic: &str, found: Option<&Description>) -> Option<Trouble> {
        let topic = topic.to_owned();
        let Some(found) = found else {
            return Some(Trouble::Gone { topic });
        };
        if self.id.as_ref().is_some_and(|id| *id != found.id) {
            return Some(Trouble::Anew { topic });
        }
        (self.partitions != found.partitions).then_some(Trouble::Partitions {
            topic,
            recorded: self.partitions,
            found: found.partitions,
        })
    }
}

#[derive(Debug)]
enum State {
    /// Written, with so many partitions.
    Good(i32),
    Broken(Trouble),
}

/// The topics of one shard.
#[derive(Debug, Default)]
pub(crate) struct Topics {
    known: HashMap<Arc<str>, State>,
    recorded: BTreeMap<String, Recorded>,
    /// The last sequence that was looked at.
    reached: u64,
    passed: BTreeMap<String, MirrorGap>,
    /// Whose entry in `passed` has grown since the last commit.
    grown: BTreeSet<String>,
    /// Gaps that have ended since then.
    ended: Vec<MirrorGap>,
}

impl Topics {
    /// What the progress record knows; nothing of it has been looked at yet.
    pub(crate) fn new(progress: Option<&Progress>) -> Self {
        let Some(progress) = progress else {
            return Self::default();
        };
        let recorded = progress.partitions.iter().map(|(topic, partitions)| {
            let recorded = Recorded {
                partitions: *partitions,
                id: progress.topic_ids.get(topic).cloned(),
            };
            (topic.clone(), recorded)
        });
        Self {
            recorded: recorded.collect(),
            reached: progress.seq,
            passed: progress.passed.clone(),
            ..Self::default()
        }
    }

    /// Every topic that the next progress record speaks of.
    pub(crate) fn recorded(&self) -> &BTreeMap<String, Recorded> {
        &self.recorded
    }

    /// What is passed over at the moment, and why.
    pub(crate) fn broken(&self) -> BTreeMap<String, String> {
        let broken = self.known.iter().filter_map(|(topic, state)| match state {
            State::Broken(trouble) => Some((topic.to_string(), trouble.to_string())),
            State::Good(_) => None,
        });
        broken.collect()
    }

    /// Whether it is known what to do with a topic's events.
    pub(crate) fn knows(&self, topic: &str) -> bool {
        self.known.contains_key(topic)
    }

    /// Whether a topic is passed over for its settings.
    pub(crate) fn differs(&self, topic: &str) -> bool {
        matches!(
            self.known.get(topic),
            Some(State::Broken(Trouble::Ground(_)))
        )
    }

    /// From here on a topic's events are written. What it has missed becomes a gap.
    pub(crate) fn good(&mut self, topic: &str, found: Description) {
        let recorded = Recorded {
            partitions: found.partitions,
            id: Some(found.id).filter(|id| !id.is_empty()),
        };
        self.recorded.insert(topic.into(), recorded);
        self.known
            .insert(topic.into(), State::Good(found.partitions));
        self.ended.extend(self.passed.remove(topic));
        self.grown.remove(topic);
    }

    /// From here on a topic's events are passed over. True: that is news.
    pub(crate) fn broken_by(&mut self, topic: &str, trouble: Trouble) -> bool {
        if trouble.loses_past() && self.reached > 0 {
            let gap = self.gap(topic, 1);
            gap.from = 1;
            self.grown.insert(topic.into());
        }
        let state = self.known.get(topic);
        let news = !matches!(state, Some(State::Broken(known)) if *known == trouble);
        self.known.insert(topic.into(), State::Broken(trouble));
        news
    }

    /// Takes a topic that is gone, or was made anew, as one that was never written.
    pub(crate) fn adopt(&mut self, topic: &str) {
        if self.reached > 0 {
            self.gap(topic, 1).from = 1;
        }
        self.ended.extend(self.passed.remove(topic));
        self.grown.remove(topic);
        self.recorded.remove(topic);
        self.known.remove(topic);
    }

    /// Forgets topics that Kafka refused or that are not ours: the next event of one
    /// has it looked at again.
    pub(crate) fn look_again(&mut self) {
        let recorded = &self.recorded;
        self.known.retain(|topic, state| {
            matches!(state, State::Good(_)) || recorded.contains_key(&**topic)
        });
    }

    /// The partitions of the topic that an event goes to; `None`: it is passed over,
    /// and that is noted.
    pub(crate) fn place(&mut self, topic: &str, seq: u64) -> Option<i32> {
        self.reached = self.reached.max(seq);
        match self.known.get(topic) {
            Some(State::Good(partitions)) => Some(*partitions),
            Some(State::Broken(_)) | None => {
                self.gap(topic, seq);
                self.grown.insert(topic.into());
                None
            }
        }
    }

    /// A topic's gap, which reaches to the last sequence that was looked at.
    fn gap(&mut self, topic: &str, from: u64) -> &mut MirrorGap {
        let reached = self.reached;
        let gap = self
            .passed
            .entry(topic.into())
            .or_insert_with(|| MirrorGap {
                from,
                to: reached,
                reason: MirrorGapReason::Topic,
                topic: Some(topic.into()),
            });
        gap.to = reached;
        gap
    }

    /// Writes into the next progress record what it says of topics. The first gaps
    /// returned have ended and stay; the others still grow.
    pub(crate) fn commit(&mut self, progress: &mut Progress) -> (Vec<MirrorGap>, Vec<MirrorGap>) {
        for (topic, recorded) in &self.recorded {
            progress
                .partitions
                .insert(topic.clone(), recorded.partitions);
            if let Some(id) = &recorded.id {
                progress.topic_ids.insert(topic.clone(), id.clone());
            }
        }
        progress.passed = self.passed.clone();
        let grown = std::mem::take(&mut self.grown);
        let growing = grown
            .iter()
            .filter_map(|topic| self.passed.get(topic).cloned());
        (std::mem::take(&mut self.ended), growing.collect())
    }
}

#[cfg(test)]
mod tests {
    use protocol::position::Epoch;
    use protocol::stream::StreamName;

    use super::*;

    fn found(id: &str, partitions: i32) -> Description {
        Description {
            id: id.into(),
            partitions,
        }
    }

    fn progress(seq: u64) -> Progress {
        Progress {
            stream: StreamName::parse("EVENTS-main").unwrap(),
            epoch: Epoch::parse("ab").unwrap(),
            seq,
            time: 0,
            gaps: vec![],
            partitions: BTreeMap::new(),
            topic_ids: BTreeMap::new(),
            passed: BTreeMap::new(),
            lease: 1,
        }
    }

    fn gap(topic: &str, from: u64, to: u64) -> MirrorGap {
        MirrorGap {
            from,
            to,
            reason: MirrorGapReason::Topic,
            topic: Some(topic.into()),
        }
    }

    #[test]
    fn a_topic_is_the_same_by_its_id_and_its_partitions() {
        let mut recorded = Recorded {
            partitions: 6,
            id: Some("x".into()),
        };
        assert_eq!(recorded.trouble("t", Some(&found("x", 6))), None);
        let told = |recorded: &Recorded, found: Option<&Description>| {
            recorded.trouble("t", found).unwrap().to_string()
        };
        assert_eq!(
            told(&recorded, Some(&found("x", 8))),
            "topic t has 8 partitions, the mirror began with 6"
        );
        assert!(told(&recorded, Some(&found("y", 6))).contains("made anew"));
        assert!(told(&recorded, None).contains("is gone"));
        recorded.id = None;
        assert_eq!(recorded.trouble("t", Some(&found("y", 6))), None);
    }

    #[test]
    fn a_broken_topic_stops_itself_and_its_gap_ends_when_it_is_whole() {
        let mut topics = Topics::new(None);
        topics.good("a", found("1", 2));
        topics.good("b", found("2", 3));
        assert_eq!(
            (topics.place("a", 1), topics.place("b", 2)),
            (Some(2), Some(3))
        );
        let trouble = Trouble::Foreign { topic: "a".into() };
        assert!(topics.broken_by("a", trouble.clone()));
        assert!(!topics.broken_by("a", trouble), "told once");
        assert_eq!(
            (topics.place("a", 3), topics.place("b", 4)),
            (None, Some(3))
        );
        assert_eq!(
            (topics.place("a", 5), topics.place("b", 6)),
            (None, Some(3))
        );

        let mut first = progress(6);
        assert_eq!(topics.commit(&mut first), (vec![], vec![gap("a", 3, 5)]));
        assert_eq!(first.passed["a"], gap("a", 3, 5));
        assert_eq!(first.partitions.len(), 2);
        assert_eq!(topics.commit(&mut progress(6)), (vec![], vec![]));

        // Another process goes on from that record.
        let mut topics = Topics::new(Some(&first));
        assert!(!topics.knows("a"));
        topics.good("a", found("1", 2));
        assert_eq!(topics.place("a", 7), Some(2));
        let mut second = progress(7);
        assert_eq!(topics.commit(&mut second), (vec![gap("a", 3, 5)], vec![]));
        assert!(second.passed.is_empty());
    }

    #[test]
    fn what_a_topic_made_anew_has_lost_is_in_its_gap() {
        let mut topics = Topics::new(None);
        topics.good("a", found("1", 2));
        assert_eq!(topics.place("a", 9), Some(2));
        topics.broken_by("a", Trouble::Anew { topic: "a".into() });
        let mut record = progress(9);
        assert_eq!(topics.commit(&mut record), (vec![], vec![gap("a", 1, 9)]));
        assert_eq!(
            record.topic_ids["a"], "1",
            "the record keeps the id it knew"
        );

        let mut topics = Topics::new(Some(&record));
        topics.adopt("a");
        topics.good("a", found("9", 4));
        assert_eq!(topics.place("a", 10), Some(4));
        let mut record = progress(10);
        assert_eq!(topics.commit(&mut record), (vec![gap("a", 1, 9)], vec![]));
        assert_eq!(
            (&record.topic_ids["a"][..], record.partitions["a"]),
            ("9", 4)
        );
    }

    #[test]
    fn a_refused_topic_is_looked_at_again() {
        let mut topics = Topics::new(None);
        let refused = Trouble::Refused {
            topic: "a".into(),
            problem: "no".into(),
        };
        topics.broken_by("a", refused);
        assert_eq!(topics.place("a", 4), None);
        topics.look_again();
        assert!(!topics.knows("a"));
        assert_eq!(topics.commit(&mut progress(4)).1, [gap("a", 4, 4)]);
    }
}
