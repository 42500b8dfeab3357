//! Looking at topics without reading them: partitions and watermarks.
//!
//! Every call blocks; call from `spawn_blocking` or a thread. Owns two clients, one
//! that sees everything and one that sees what is committed.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use tokio::time::Instant;

use super::context::{Quiet, Reader};
use super::describe::{self, Description};
use super::settings::{self, Isolation};
use crate::config::KafkaConfig;

/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// How long open transactions may hide what is before a high watermark: one whole
/// time-out of a dead producer's transaction, and the broker's interval of looking.
const SETTLE_DEADLINE: Duration = Duration::from_secs(30);
/// Between two looks at a watermark.
const SETTLE_INTERVAL: Duration = Duration::from_millis(5);

/// Why Kafka's state is not known.
#[derive(Debug, thiserror::Error)]
pub enum ObserveError {
    /// A request failed; temporary.
    #[error("kafka does not say what topic {topic} holds")]
    Request {
        /// The topic.
        topic: String,
        /// Why.
        source: KafkaError,
    },
    /// An open transaction hides records for too long; temporary.
    #[error("records of topic {topic} stay behind an open transaction")]
    Unsettled {
        /// The topic.
        topic: String,
    },
    /// The caller has no more use for it.
    #[error("stopped")]
    Stopped,
}

/// First offset kept and next offset to be written of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Watermarks {
    pub low: i64,
    pub high: i64,
}

/// Looks at topics.
pub(crate) struct Observer {
    all: Reader,
    committed: Reader,
}

impl Observer {
    /// Makes the two clients; does not connect yet.
    ///
    /// # Errors
    /// A setting that librdkafka refuses.
    pub(crate) fn new(kafka: &KafkaConfig) -> Result<Self, KafkaError> {
        Ok(Self {
            all: settings::observer(kafka, Isolation::Uncommitted).create_with_context(Quiet)?,
            committed: settings::observer(kafka, Isolation::Committed)
                .create_with_context(Quiet)?,
        })
    }

    /// What one broker says of topics; those that it does not know are left out.
    pub(crate) fn describe(
        &self,
        topics: &[String],
    ) -> Result<BTreeMap<String, Description>, ObserveError> {
        self.drain();
        describe::describe(self.all.client(), topics, REQUEST_TIMEOUT).map_err(|source| {
            ObserveError::Request {
                topic: topics.first().cloned().unwrap_or_default(),
                source,
            }
        })
    }

    /// Whether anything was ever written into a topic of so many partitions, committed
    /// or not, kept or not.
    pub(crate) fn was_written(&self, topic: &str, partitions: i32) -> Result<bool, ObserveError> {
        self.drain();
        for partition in 0..partitions {
            let marks = self.all.fetch_watermarks(topic, partition, REQUEST_TIMEOUT);
            let (_, high) = marks.map_err(|source| ObserveError::Request {
                topic: topic.into(),
                source,
            })?;
            if high > 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The watermarks of a partition, once everything before the high one that was
    /// found is visible to readers of committed records (the last stable offset has
    /// reached it).
    ///
    /// # Errors
    /// [`ObserveError::Unsettled`] after 30 s; [`ObserveError::Stopped`].
    pub(crate) fn settled(
        &self,
        topic: &str,
        partition: i32,
        stop: &dyn Fn() -> bool,
    ) -> Result<Watermarks, ObserveError> {
        self.drain();
        let failed = |source| ObserveError::Request {
            topic: topic.into(),
            source,
        };
        let deadline = Instant::now() + SETTLE_DEADLINE;
        let (low, high) = self
            .all
            .fetch_watermarks(topic, partition, REQUEST_TIMEOUT)
            .map_err(failed)?;
        loop {
            let (_, stable) = self
                .committed
                .fetch_watermarks(topic, partition, REQUEST_TIMEOUT)
                .map_err(failed)?;
            if stable >= high {
                return Ok(Watermarks { low, high });
            }
            if stop() {
                return Err(ObserveError::Stopped);
            }
            if Instant::now() >= deadline {
                return Err(ObserveError::Unsettled {
                    topic: topic.into(),
                });
            }
            std::thread::sleep(SETTLE_INTERVAL);
        }
    }

    /// Clears what the clients have to say: nobody polls them, and an outage would
    /// pile its errors up.
    fn drain(&self) {
        while self.all.poll(Duration::ZERO).is_some() {}
        while self.committed.poll(Duration::ZERO).is_some() {}
    }
}
