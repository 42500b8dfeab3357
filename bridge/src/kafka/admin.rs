//! Making topics. Owns the client that does it; remembers no topic.

use std::sync::Arc;
use std::time::Duration;

use protocol::stream::StreamName;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::contents;
use super::context::Quiet;
use super::settings;
use super::watermark::{ObserveError, Observer};
use crate::config::KafkaConfig;

/// How long Kafka may take over one change of a topic.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a new topic may take to be seen by everybody.
const VISIBLE_DEADLINE: Duration = Duration::from_secs(15);
/// Between two looks for it.
const VISIBLE_INTERVAL: Duration = Duration::from_millis(20);
/// Segment of the progress topic, in bytes: the least that Kafka takes, so that
/// compaction keeps it short.
const PROGRESS_SEGMENT_BYTES: &str = "1048576";

/// Why a topic is not as it should be.
#[derive(Debug, thiserror::Error)]
pub enum TopicError {
    /// Kafka did not do it; temporary.
    #[error("kafka did not create or change topic {topic}: {problem}")]
    Change {
        /// The topic.
        topic: String,
        /// Why.
        problem: String,
    },
    /// It was created and is not seen; temporary.
    #[error("topic {topic} is not seen after its creation")]
    Invisible {
        /// The topic.
        topic: String,
    },
    /// What the topic holds is not known; temporary.
    #[error(transparent)]
    Observe(#[from] ObserveError),
}

/// Makes topics and looks at them.
pub(crate) struct Admin {
    client: AdminClient<Quiet>,
    observer: Arc<Observer>,
    kafka: KafkaConfig,
}

impl Admin {
    /// Makes the clients; does not connect yet.
    ///
    /// # Errors
    /// A setting that librdkafka refuses.
    pub(crate) fn new(kafka: &KafkaConfig) -> Result<Self, KafkaError> {
        let observer = Arc::new(Observer::new(kafka)?);
        Ok(Self {
            client: settings::admin(kafka).create_with_context(Quiet)?,
            observer,
            kafka: kafka.clone(),
        })
    }

    /// Looks at topics.
    pub(crate) fn observer(&self) -> &Arc<Observer> {
        &self.observer
    }

    /// A topic's partitions; `None` if there is no such topic.
    pub(crate) async fn partitions(&self, topic: &str) -> Result<Option<i32>, TopicError> {
        let topic = topic.to_owned();
        self.look(move |observer| observer.partitions(&topic)).await
    }

    /// Whether anything was ever written into a topic of so many partitions.
    pub(crate) async fn was_written(
        &self,
        topic: &str,
        partitions: i32,
    ) -> Result<bool, TopicError> {
        let topic = topic.to_owned();
        self.look(move |observer| observer.was_written(&topic, partitions))
            .await
    }

    /// Whether a topic of so many partitions holds nothing of this stream, and nothing
    /// of anybody but mirrors.
    pub(crate) async fn is_free(
        &self,
        topic: &str,
        partitions: i32,
        stream: &StreamName,
    ) -> Result<bool, TopicError> {
        let (kafka, topic, stream) = (self.kafka.clone(), topic.to_owned(), stream.clone());
        self.look(move |_| contents::is_free(&kafka, &topic, partitions, &stream))
            .await
    }

    /// Looking blocks, so it happens on a thread for that.
    async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Observer) -> Result<T, ObserveError> + Send + 'static,
    ) -> Result<T, TopicError> {
        let observer = self.observer.clone();
        let looked = tokio::task::spawn_blocking(move || look(&observer)).await;
        Ok(looked.expect("looking at a topic does not panic")?)
    }

    /// Makes an event topic, unless somebody else is faster; its partitions.
    pub(crate) async fn create_events(&self, topic: &str) -> Result<i32, TopicError> {
        let bytes_max = settings::RECORD_BYTES_MAX.to_string();
        let mut new = NewTopic::new(
            topic,
            self.kafka.partitions,
            TopicReplication::Fixed(self.kafka.replication),
        )
        .set("message.timestamp.type", "CreateTime")
        .set("max.message.bytes", &bytes_max);
        // CreateTime is the store's time: with a broker's own retention, a mirror that
        // starts late would lose what it writes at once.
        if !self.kafka.topic_settings.contains_key("retention.ms") {
            new = new.set("retention.ms", "-1");
        }
        for (name, value) in &self.kafka.topic_settings {
            new = new.set(name, value);
        }
        self.create(topic, &new).await?;
        self.visible(topic, 1).await
    }

    /// Makes the progress topic unless it exists, and widens it to at least
    /// `partitions`.
    pub(crate) async fn ensure_progress(
        &self,
        topic: &str,
        partitions: i32,
    ) -> Result<(), TopicError> {
        match self.partitions(topic).await? {
            Some(found) if found >= partitions => return Ok(()),
            Some(_) => {
                let grow = NewPartitions::new(topic, partitions as usize);
                let done = self.client.create_partitions([&grow], &options()).await;
                // Somebody else may have widened it meanwhile.
                accept(topic, done, RDKafkaErrorCode::InvalidPartitions)?;
            }
            None => {
                let new = NewTopic::new(
                    topic,
                    partitions,
                    TopicReplication::Fixed(self.kafka.replication),
                )
                .set("cleanup.policy", "compact")
                .set("segment.bytes", PROGRESS_SEGMENT_BYTES)
                .set("min.cleanable.dirty.ratio", "0.1");
                self.create(topic, &new).await?;
            }
        }
        self.visible(topic, partitions).await.map(drop)
    }

    async fn create(&self, topic: &str, new: &NewTopic<'_>) -> Result<(), TopicError> {
        let done = self.client.create_topics([new], &options()).await;
        accept(topic, done, RDKafkaErrorCode::TopicAlreadyExists)
    }

    async fn visible(&self, topic: &str, least: i32) -> Result<i32, TopicError> {
        let deadline = tokio::time::Instant::now() + VISIBLE_DEADLINE;
        loop {
            if let Some(found) = self
                .partitions(topic)
                .await?
                .filter(|found| *found >= least)
            {
                return Ok(found);
            }
            if tokio::time::Instant::now() >= deadline {
                return Err(TopicError::Invisible {
                    topic: topic.into(),
                });
            }
            tokio::time::sleep(VISIBLE_INTERVAL).await;
        }
    }
}

fn options() -> AdminOptions {
    AdminOptions::new()
        .request_timeout(Some(OPERATION_TIMEOUT))
        .operation_timeout(Some(OPERATION_TIMEOUT))
}

type Done = Result<Vec<Result<String, (String, RDKafkaErrorCode)>>, KafkaError>;

/// An answer in which one error is as good as success.
fn accept(topic: &str, done: Done, harmless: RDKafkaErrorCode) -> Result<(), TopicError> {
    let problem = match done {
        Ok(results) => results
            .into_iter()
            .find_map(|result| result.err().filter(|(_, code)| *code != harmless))
            .map(|(_, code)| code.to_string()),
        Err(error) => Some(error.to_string()),
    };
    problem.map_or(Ok(()), |problem| {
        Err(TopicError::Change {
            topic: topic.into(),
            problem,
        })
    })
}
