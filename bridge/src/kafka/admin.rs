//! Making topics, and looking at many of them at once. Owns the clients that do it;
//! remembers no topic.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use protocol::stream::StreamName;
use rdkafka::admin::{
    AdminClient, AdminOptions, ConfigResource, NewPartitions, NewTopic, OwnedResourceSpecifier,
    ResourceSpecifier, TopicReplication,
};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::contents;
use super::context::Quiet;
use super::describe::Description;
use super::ground::{self, Difference, Settings};
use super::settings;
use super::watermark::{ObserveError, Observer};
use crate::config::KafkaConfig;

/// How long Kafka may take over one change of a topic.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a new topic may take to be seen by everybody.
const VISIBLE_DEADLINE: Duration = Duration::from_secs(15);
/// How long a topic that must be there is asked for: a broker that was cut off, or
/// has just started, does not know of topics that the others have.
const FOUND_DEADLINE: Duration = Duration::from_secs(5);
/// Between two looks for a topic.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// Topics that one request makes: with six partitions each well below the ten
/// thousand partitions that Kafka's controller takes, and done within its time.
const CREATED_MAX: usize = 50;
/// Kafka's answer to whoever makes a topic that is there.
const EXISTS: RDKafkaErrorCode = RDKafkaErrorCode::TopicAlreadyExists;
/// Topics that one request asks for; an answer is some 100 bytes for each partition.
const ASKED_MAX: usize = 500;

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
    /// Its settings are not known; temporary.
    #[error("kafka does not say what settings topic {topic} has: {problem}")]
    Settings {
        /// The topic, the first of those asked for.
        topic: String,
        /// Why.
        problem: String,
    },
    /// It exists with other settings than exactness rests on. Remedy: set what is
    /// wanted.
    #[error(transparent)]
    Ground(#[from] GroundError),
}

/// A topic's settings are not those that exactness rests on.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct GroundError(Difference);

/// Topics by name, as found.
pub(crate) type Found = BTreeMap<String, Description>;

/// What became of topics that were to be made.
#[derive(Debug, Default)]
pub(crate) struct Made {
    /// Those that are there now.
    pub found: Found,
    /// Those of them that somebody else had made.
    pub existed: Vec<String>,
    /// Those that Kafka will not have, and why.
    pub refused: BTreeMap<String, String>,
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

    /// What one broker says of these topics now; those that it does not know are left
    /// out.
    pub(crate) async fn describe(&self, topics: &[String]) -> Result<Found, TopicError> {
        let mut found = Found::new();
        for topics in topics.chunks(ASKED_MAX) {
            let topics = topics.to_vec();
            found.extend(
                self.look(move |observer| observer.describe(&topics))
                    .await?,
            );
        }
        Ok(found)
    }

    /// Describes topics that must be there: those that are not known are asked for
    /// again, of whichever broker, for a while. Cancel safe.
    pub(crate) async fn find(&self, topics: &[String]) -> Result<Found, TopicError> {
        let deadline = tokio::time::Instant::now() + FOUND_DEADLINE;
        let mut found = self.describe(topics).await?;
        loop {
            let missing = missing(topics, &found);
            if missing.is_empty() || tokio::time::Instant::now() >= deadline {
                return Ok(found);
            }
            tokio::time::sleep(LOOK_INTERVAL * 10).await;
            found.extend(self.describe(&missing).await?);
        }
    }

    /// The settings of topics; those that do not exist are left out.
    pub(crate) async fn settings(
        &self,
        topics: &[String],
    ) -> Result<BTreeMap<String, Settings>, TopicError> {
        let mut found = BTreeMap::new();
        for topics in topics.chunks(ASKED_MAX) {
            let failed = |problem: String| TopicError::Settings {
                topic: topics[0].clone(),
                problem,
            };
            let asked: Vec<_> = topics
                .iter()
                .map(|topic| ResourceSpecifier::Topic(topic))
                .collect();
            let answers = self.client.describe_configs(&asked, &options()).await;
            for answer in answers.map_err(|error| failed(error.to_string()))? {
                match answer {
                    Ok(resource) => found.extend(of_topic(resource)),
                    Err(RDKafkaErrorCode::UnknownTopicOrPartition) => {}
                    Err(code) => return Err(failed(code.to_string())),
                }
            }
        }
        Ok(found)
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

    /// Makes event topics, unless somebody else is faster, and waits until they are
    /// seen.
    pub(crate) async fn create_events(&self, topics: &[String]) -> Result<Made, TopicError> {
        let wanted = ground::events(&self.kafka);
        let mut made = Made::default();
        for topics in topics.chunks(CREATED_MAX) {
            let new: Vec<_> = topics
                .iter()
                .map(|topic| self.new_topic(topic, self.kafka.partitions, &wanted))
                .collect();
            let done = self.client.create_topics(&new, &options()).await;
            accept(&topics[0], done, EXISTS, &mut made)?;
        }
        let there: Vec<_> = topics
            .iter()
            .filter(|topic| !made.refused.contains_key(*topic))
            .cloned()
            .collect();
        made.found = self.visible(&there, 1).await?;
        Ok(made)
    }

    /// Makes the progress topic unless it exists, widens it to at least `partitions`,
    /// and checks its settings.
    pub(crate) async fn ensure_progress(
        &self,
        topic: &str,
        partitions: i32,
    ) -> Result<(), TopicError> {
        let (topics, wanted) = ([topic.to_owned()], ground::progress(&self.kafka));
        let mut made = Made::default();
        match self.describe(&topics).await?.get(topic) {
            Some(found) if found.partitions >= partitions => {}
            Some(_) => {
                let grow = NewPartitions::new(topic, partitions.unsigned_abs() as usize);
                let done = self.client.create_partitions([&grow], &options()).await;
                // Somebody else may have widened it meanwhile.
                accept(topic, done, RDKafkaErrorCode::InvalidPartitions, &mut made)?;
            }
            None => {
                let new = self.new_topic(topic, partitions, &wanted);
                let done = self.client.create_topics([&new], &options()).await;
                accept(topic, done, EXISTS, &mut made)?;
            }
        }
        if let Some((topic, problem)) = made.refused.into_iter().next() {
            return Err(TopicError::Change { topic, problem });
        }
        self.visible(&topics, partitions).await?;
        self.check_progress(topic).await
    }

    /// Checks the progress topic's settings.
    pub(crate) async fn check_progress(&self, topic: &str) -> Result<(), TopicError> {
        let found = self.settings(&[topic.to_owned()]).await?;
        let found = found.get(topic).cloned().unwrap_or_default();
        ground::compare(topic, &ground::progress(&self.kafka), &found)
            .map_or(Ok(()), |difference| Err(GroundError(difference).into()))
    }

    /// The first setting of each of these event topics that is not as it must be.
    pub(crate) async fn differences(
        &self,
        topics: &[String],
    ) -> Result<BTreeMap<String, Difference>, TopicError> {
        let wanted = ground::events(&self.kafka);
        let found = self.settings(topics).await?;
        Ok(found
            .iter()
            .filter_map(|(topic, found)| {
                let difference = ground::compare(topic, &wanted, found)?;
                Some((topic.clone(), difference))
            })
            .collect())
    }

    fn new_topic<'a>(&self, topic: &'a str, partitions: i32, wanted: &'a Settings) -> NewTopic<'a> {
        let copies = TopicReplication::Fixed(self.kafka.replication);
        wanted.iter().fold(
            NewTopic::new(topic, partitions, copies),
            |new, (name, value)| new.set(name, value),
        )
    }

    /// Waits until topics are seen with so many partitions.
    async fn visible(&self, topics: &[String], least: i32) -> Result<Found, TopicError> {
        let deadline = tokio::time::Instant::now() + VISIBLE_DEADLINE;
        let mut found = Found::new();
        loop {
            let missing = missing(topics, &found);
            let Some(first) = missing.first() else {
                return Ok(found);
            };
            match self.describe(&missing).await {
                Ok(seen) => {
                    found.extend(seen.into_iter().filter(|(_, one)| one.partitions >= least));
                }
                // A topic without a leader yet cannot be described.
                Err(error) => tracing::debug!(%error, "new topics are not seen yet"),
            }
            if tokio::time::Instant::now() >= deadline {
                return Err(TopicError::Invisible {
                    topic: first.clone(),
                });
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }
}

fn missing(topics: &[String], found: &Found) -> Vec<String> {
    let unknown = topics.iter().filter(|topic| !found.contains_key(*topic));
    unknown.cloned().collect()
}

fn of_topic(resource: ConfigResource) -> Option<(String, Settings)> {
    let OwnedResourceSpecifier::Topic(topic) = resource.specifier else {
        return None;
    };
    let settings = resource.entries.into_iter();
    let settings = settings.filter_map(|entry| Some((entry.name, entry.value?)));
    Some((topic, settings.collect()))
}

fn options() -> AdminOptions {
    AdminOptions::new()
        .request_timeout(Some(OPERATION_TIMEOUT))
        .operation_timeout(Some(OPERATION_TIMEOUT))
}

type Done = Result<Vec<Result<String, (String, RDKafkaErrorCode)>>, KafkaError>;

/// Takes an answer in which one error is as good as success. What Kafka refuses for
/// good is noted, by topic; anything else is an error of them all.
fn accept(
    first: &str,
    done: Done,
    harmless: RDKafkaErrorCode,
    made: &mut Made,
) -> Result<(), TopicError> {
    let failed = |topic: &str, problem: String| TopicError::Change {
        topic: topic.into(),
        problem,
    };
    let results = done.map_err(|error| failed(first, error.to_string()))?;
    for (topic, code) in results.into_iter().filter_map(Result::err) {
        match code {
            code if code == harmless => made.existed.push(topic),
            RDKafkaErrorCode::PolicyViolation
            | RDKafkaErrorCode::InvalidTopic
            | RDKafkaErrorCode::InvalidConfig
            | RDKafkaErrorCode::TopicAuthorizationFailed => {
                made.refused.insert(topic, code.to_string());
            }
            code => return Err(failed(&topic, code.to_string())),
        }
    }
    Ok(())
}
