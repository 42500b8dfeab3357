//! How a range of sequences is given of which Kafka does not hold everything: from
//! Kafka where it does, from JetStream where that still does, as a told gap where
//! neither does. Pure.

use crate::proto::GapReason;

/// A range of which Kafka does not hold every event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Loss {
    pub from: u64,
    pub to: u64,
    pub reason: GapReason,
}

impl Loss {
    /// Whether JetStream may have what Kafka has not.
    fn is_kafkas(self) -> bool {
        !matches!(
            self.reason,
            GapReason::Retention | GapReason::Hole | GapReason::Unreadable
        )
    }
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Tell that these cannot be given.
    Gap(Loss),
    /// Give what Kafka has, up to this sequence.
    Kafka(u64),
    /// Give what JetStream has, up to this sequence.
    Stream(u64),
}

/// The steps that give everything behind `after` up to `until`; `kept` is the first
/// sequence that JetStream has.
pub(super) fn steps(after: u64, until: u64, mut losses: Vec<Loss>, kept: u64) -> Vec<Step> {
    losses.sort_unstable_by_key(|loss| (loss.from, loss.to));
    let (mut steps, mut at) = (Vec::new(), after);
    // What JetStream has lost itself is told even where Kafka has lost more.
    let mut seen = [after; 2];
    for loss in losses {
        let seen = &mut seen[usize::from(loss.is_kafkas())];
        let (from, to) = (loss.from.max(*seen + 1), loss.to.min(until));
        if from > to {
            continue;
        }
        *seen = to;
        let fetched = loss.is_kafkas() && kept <= to;
        let gone = if fetched { kept.max(from) - 1 } else { to };
        if from <= gone {
            steps.push(Step::Gap(Loss {
                from,
                to: gone,
                ..loss
            }));
        }
        if fetched {
            // Of a gap, Kafka may hold some events: those of other partitions.
            if at < gone {
                steps.push(Step::Kafka(gone));
            }
            steps.push(Step::Stream(to));
            at = to;
        }
    }
    if at < until {
        steps.push(Step::Kafka(until));
    }
    steps
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn loss(from: u64, to: u64, reason: GapReason) -> Loss {
        Loss { from, to, reason }
    }

    #[test]
    fn what_kafka_has_lost_comes_from_the_stream_or_is_told() {
        let lost = loss(11, 59, GapReason::KafkaRetention);
        assert_eq!(steps(10, 100, vec![], 1), [Step::Kafka(100)]);
        assert_eq!(
            steps(10, 100, vec![lost], 1),
            [Step::Stream(59), Step::Kafka(100)]
        );
        assert_eq!(
            steps(10, 100, vec![lost], 60),
            [Step::Gap(lost), Step::Kafka(100)]
        );
        let part = loss(11, 29, GapReason::KafkaRetention);
        assert_eq!(
            steps(10, 100, vec![lost], 30),
            [
                Step::Gap(part),
                Step::Kafka(29),
                Step::Stream(59),
                Step::Kafka(100)
            ]
        );
        assert_eq!(steps(59, 100, vec![lost], 60), [Step::Kafka(100)]);
    }

    #[test]
    fn what_the_stream_has_lost_itself_is_told_whatever_it_keeps() {
        let hole = loss(20, 25, GapReason::Hole);
        assert_eq!(
            steps(0, 30, vec![hole], 1),
            [Step::Gap(hole), Step::Kafka(30)]
        );
        let large = loss(27, 27, GapReason::TooLarge);
        assert_eq!(
            steps(0, 30, vec![large, hole], 1),
            [
                Step::Gap(hole),
                Step::Kafka(26),
                Step::Stream(27),
                Step::Kafka(30)
            ]
        );
    }

    proptest! {
        /// Every sequence is covered once, in order, and each loss is either told or
        /// read from the stream.
        #[test]
        fn every_sequence_is_accounted_for(
            after in 0u64..40,
            count in 0u64..60,
            kept in 1u64..110,
            ranges in proptest::collection::vec((1u64..100, 0u64..30, any::<bool>()), 0..6),
        ) {
            let until = after + count;
            let losses: Vec<_> = ranges.iter().map(|(from, more, kafkas)| {
                let reason = if *kafkas { GapReason::Topic } else { GapReason::Hole };
                loss(*from, from + more, reason)
            }).collect();
            let (mut at, mut told, mut fetched) = (after, Vec::new(), Vec::new());
            for step in steps(after, until, losses.clone(), kept) {
                match step {
                    Step::Gap(gap) => {
                        prop_assert!(gap.from > after && gap.to <= until && gap.from <= gap.to);
                        told.extend(gap.from..=gap.to);
                    }
                    Step::Kafka(to) | Step::Stream(to) => {
                        prop_assert!(to > at);
                        if matches!(step, Step::Stream(_)) {
                            fetched.extend(at + 1..=to);
                        }
                        at = to;
                    }
                }
            }
            prop_assert_eq!(at, until);
            for seq in after + 1..=until {
                let lost = losses.iter().any(|loss| (loss.from..=loss.to).contains(&seq));
                prop_assert_eq!(lost, told.contains(&seq) || fetched.contains(&seq), "{}", seq);
                let own = losses.iter().any(|loss| !loss.is_kafkas() && (loss.from..=loss.to).contains(&seq));
                prop_assert!(own == told.contains(&seq) || !own && seq < kept);
                prop_assert!(!fetched.contains(&seq) || seq >= kept);
            }
        }
    }
}
