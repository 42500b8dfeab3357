//! librdkafka settings of every client that the bridge makes. Ours that may be
//! changed come first, then the configured ones, then those that the promises
//! stand on.

use std::time::Duration;

use rdkafka::ClientConfig;

use crate::config::{KafkaConfig, RECORD_LIMIT};

/// How long a transaction may live. A dead one's records hide everything behind
/// them from readers for that long, so it is short.
pub(crate) const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a record may take to be written; below the transaction's time, so that
/// the producer gives up before the broker does.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(10);
/// Largest record, in bytes: the largest NATS payload (1 MiB) with its headers and
/// ours, and room for growth.
pub(crate) const RECORD_BYTES_MAX: u32 = 2 * 1024 * 1024;
/// Room that a topic leaves beside one record: the head of its batch and of itself.
const BATCH_OVERHEAD_BYTES: u32 = 1024;
/// Bytes that librdkafka gathers for one batch at most, its own default.
const BATCH_BYTES: u32 = 1_000_000;
/// What librdkafka holds for one reader, in KiB; times the places
/// for reads it is what replay may take of this process.
const READER_KBYTES: u32 = 16 * 1024;

/// Which records a reader sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Isolation {
    /// Those of committed transactions, up to the first that is still open.
    Committed,
    /// All of them.
    Uncommitted,
}

/// Settings of the one writer of a shard.
pub(crate) fn transactional(kafka: &KafkaConfig, id: &str) -> ClientConfig {
    let mut config = producer(kafka);
    config.set("transactional.id", id).set(
        "transaction.timeout.ms",
        TRANSACTION_TIMEOUT.as_millis().to_string(),
    );
    config
}

/// Settings of a writer without transactions.
pub(crate) fn producer(kafka: &KafkaConfig) -> ClientConfig {
    let mut config = common(kafka);
    config
        .set("compression.type", "lz4")
        // A commit does not wait for it; without one, batches are too small.
        .set("linger.ms", "20");
    configure(&mut config, kafka);
    // A record that its topic would refuse is found out before it is in a batch.
    let record = record_bytes_max(kafka).saturating_sub(BATCH_OVERHEAD_BYTES);
    config
        .set("message.max.bytes", record.to_string())
        .set("batch.size", record.min(BATCH_BYTES).to_string())
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set(
            "message.timeout.ms",
            MESSAGE_TIMEOUT.as_millis().to_string(),
        );
    config
}

/// Settings of a reader that is told its partitions. `group` is a name only: no
/// group is joined, nothing is committed.
pub(crate) fn reader(kafka: &KafkaConfig, group: &str, isolation: Isolation) -> ClientConfig {
    let mut config = common(kafka);
    config
        .set("queued.min.messages", "1000000")
        .set("queued.max.messages.kbytes", READER_KBYTES.to_string())
        .set("fetch.message.max.bytes", (4 * 1024 * 1024).to_string())
        .set("fetch.max.bytes", (16 * 1024 * 1024).to_string())
        // A paused reader is a slow client's, not a dead one.
        .set("max.poll.interval.ms", "86400000");
    configure(&mut config, kafka);
    config
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("enable.partition.eof", "true")
        .set("allow.auto.create.topics", "false")
        .set("auto.offset.reset", "error")
        .set(
            "isolation.level",
            if isolation == Isolation::Committed {
                "read_committed"
            } else {
                "read_uncommitted"
            },
        );
    config
}

/// Settings of a reader of committed records that stops at the end it finds: a
/// broker tells the end only when it has waited for more.
pub(crate) fn bounded_reader(kafka: &KafkaConfig, group: &str) -> ClientConfig {
    let mut config = reader(kafka, group, Isolation::Committed);
    config.set("fetch.wait.max.ms", "10");
    config
}

/// Settings of a client that looks at topics and watermarks; it reads no records.
pub(crate) fn observer(kafka: &KafkaConfig, isolation: Isolation) -> ClientConfig {
    let mut config = reader(kafka, "", isolation);
    config.remove("group.id");
    config
}

/// Settings of the client that makes topics.
pub(crate) fn admin(kafka: &KafkaConfig) -> ClientConfig {
    let mut config = common(kafka);
    configure(&mut config, kafka);
    config
}

/// What a topic of ours takes in one batch, in bytes.
pub(crate) fn record_bytes_max(kafka: &KafkaConfig) -> u32 {
    let configured = kafka.topic_settings.get(RECORD_LIMIT);
    configured
        .and_then(|text| text.parse().ok())
        .unwrap_or(RECORD_BYTES_MAX)
}

fn common(kafka: &KafkaConfig) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &kafka.bootstrap)
        .set("client.id", "eddyline-bridge")
        .set("socket.nagle.disable", "true")
        // A broker that comes back is found within a second.
        .set("reconnect.backoff.max.ms", "1000");
    config
}

fn configure(config: &mut ClientConfig, kafka: &KafkaConfig) {
    for (name, value) in &kafka.settings {
        config.set(name, value);
    }
}
