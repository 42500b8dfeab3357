//! What librdkafka's safe clients have to say, sent to `tracing`: without this,
//! rdkafka logs every end of a partition as an error. Owns nothing.

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};

/// The context of every client but the transactional producer.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        match level {
            RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug | RDKafkaLogLevel::Notice => {
                tracing::debug!(target: "rdkafka::librdkafka", facility, "{text}")
            }
            // A broker that is away is news to whoever waits for it; they say so.
            _ => tracing::info!(target: "rdkafka::librdkafka", facility, "{text}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if !matches!(error, KafkaError::PartitionEOF(_)) {
            tracing::info!(target: "rdkafka::librdkafka", %error, "{reason}");
        }
    }
}

impl ConsumerContext for Quiet {}

/// A reader with that context.
pub(crate) type Reader = rdkafka::consumer::BaseConsumer<Quiet>;

/// Has a reader read partitions of one topic from these offsets on.
pub(crate) fn assign(
    reader: &Reader,
    topic: &str,
    offsets: impl IntoIterator<Item = (i32, Offset)>,
) -> Result<(), KafkaError> {
    let mut list = TopicPartitionList::new();
    for (partition, offset) in offsets {
        list.add_partition_offset(topic, partition, offset)?;
    }
    reader.assign(&list)
}
