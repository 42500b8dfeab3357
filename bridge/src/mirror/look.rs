//! Looks at what a run does not see by itself: every so often at its topics in Kafka,
//! and at the end of its stream in NATS. Each by itself, so that neither waits for the
//! other's server: how far the mirror is behind is of most interest while Kafka is away.
//!
//! Owns the looks under way. What follows from a finding is the caller's.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::shard::Shard;
use super::survey::{self, Finding};
use super::topics::Recorded;
use crate::kafka::admin::TopicError;

/// Between two looks: how long a topic that was deleted and made anew may be written
/// unnoticed, and how old the lag may be that is shown.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);
/// Looks, of which one is at the topics' settings too: each answer holds all forty of
/// every topic.
const LOOKS_AT_SETTINGS: u64 = 15;

/// What a look has found.
pub(super) enum Look {
    /// Of the topics.
    Topics(Result<Topics, TopicError>),
    /// The stream's last sequence; `None`: it did not answer.
    End(Option<u64>),
}

/// What was found of the topics.
pub(super) struct Topics {
    pub findings: Vec<Finding>,
    /// Whether their settings were looked at too.
    pub settings: bool,
}

/// The looks of one run: at most one of each kind at a time.
pub(super) struct Looks {
    topics: JoinSet<Result<Topics, TopicError>>,
    end: JoinSet<Option<u64>>,
    looked: u64,
    next: Instant,
}

impl Looks {
    pub(super) fn new() -> Self {
        Self {
            topics: JoinSet::new(),
            end: JoinSet::new(),
            looked: 0,
            next: Instant::now() + LOOK_INTERVAL,
        }
    }

    /// When the next looks are due.
    pub(super) fn due(&self) -> Instant {
        self.next
    }

    /// Begins those that are not under way.
    pub(super) fn begin(&mut self, shard: &Arc<Shard>, recorded: &BTreeMap<String, Recorded>) {
        self.next = Instant::now() + LOOK_INTERVAL;
        if self.end.is_empty() {
            let shard = shard.clone();
            self.end.spawn(async move {
                let state = shard.bus.stream_state(&shard.stream).await;
                state.ok().map(|state| state.last_seq)
            });
        }
        if self.topics.is_empty() {
            self.looked += 1;
            let settings = self.looked.is_multiple_of(LOOKS_AT_SETTINGS);
            let (shard, recorded) = (shard.clone(), recorded.clone());
            self.topics.spawn(async move {
                if settings {
                    shard.admin.check_progress(&shard.progress_topic).await?;
                }
                let findings = survey::again(&shard.admin, &recorded, settings).await?;
                Ok(Topics { findings, settings })
            });
        }
    }

    /// The next one that has ended; waits for ever while none is under way. Cancel safe.
    pub(super) async fn next(&mut self) -> Look {
        // Both are cancel safe: what has ended stays in its set until it is returned.
        tokio::select! {
            Some(topics) = self.topics.join_next() => {
                Look::Topics(topics.expect("a look does not panic"))
            }
            Some(end) = self.end.join_next() => Look::End(end.expect("a look does not panic")),
            else => std::future::pending().await,
        }
    }
}
