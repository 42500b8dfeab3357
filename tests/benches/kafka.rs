//! Kafka without Eddyline: a transactional producer as librdkafka has it, with the
//! settings that the mirror uses.
//!
//! Blocks. Owns its producer and its topic.

use std::time::Duration;

use anyhow::Context;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::types::RDKafkaErrorCode;
use tokio::time::Instant;

/// Records of a transaction.
const TRANSACTION_RECORDS: usize = 10_000;
/// Keys: as many as the mirror has channels here.
const KEYS: usize = 64;
/// How long a call to the broker may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How long one poll waits where the queue is full.
const POLL: Duration = Duration::from_millis(10);

/// A transactional producer on a topic of its own.
pub struct Bare {
    producer: BaseProducer,
    topic: String,
}

/// Makes a topic with so many partitions.
async fn create(bootstrap: &str, topic: &str, partitions: i32) -> anyhow::Result<()> {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .create()?;
    let topic = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
    for created in admin.create_topics([&topic], &AdminOptions::new()).await? {
        created.map_err(|(name, code)| anyhow::anyhow!("topic {name}: {code}"))?;
    }
    Ok(())
}

impl Bare {
    /// Connects, and makes the topic.
    ///
    /// # Errors
    /// Kafka refuses.
    pub async fn connect(bootstrap: &str, name: &str, partitions: i32) -> anyhow::Result<Self> {
        let topic = format!("{name}.bare");
        create(bootstrap, &topic, partitions).await?;
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", bootstrap)
            .set("transactional.id", &topic)
            .set("compression.type", "lz4")
            .set("linger.ms", "20")
            .set("acks", "all");
        let producer: BaseProducer = config.create()?;
        let producer = tokio::task::spawn_blocking(move || {
            producer.init_transactions(TIMEOUT).map(|()| producer)
        });
        Ok(Self {
            producer: producer.await?.context("init_transactions")?,
            topic,
        })
    }

    /// Produces so many records in transactions; records per second.
    ///
    /// # Errors
    /// Kafka refuses.
    pub fn produce(&self, count: usize, data: &[u8]) -> anyhow::Result<f64> {
        let begun = Instant::now();
        for start in (0..count).step_by(TRANSACTION_RECORDS) {
            self.producer.begin_transaction()?;
            for n in start..count.min(start + TRANSACTION_RECORDS) {
                self.send(&format!("chat.c{}", n % KEYS), data)?;
            }
            self.producer.commit_transaction(TIMEOUT)?;
        }
        Ok(count as f64 / begun.elapsed().as_secs_f64())
    }

    fn send(&self, key: &str, data: &[u8]) -> anyhow::Result<()> {
        let mut record = BaseRecord::to(&self.topic).key(key).payload(data);
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    self.producer.poll(POLL);
                    record = back;
                }
                Err((error, _)) => return Err(error.into()),
            }
        }
    }
}
