//! Whose records a topic holds that the mirror's progress does not speak of.
//!
//! Blocks. Owns a consumer for one look; remembers nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use protocol::header;
use protocol::position::Source;
use protocol::stream::StreamName;
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers};
use rdkafka::{Message, Offset};
use tokio::time::Instant;

use super::context::{Quiet, Reader, assign};
use super::fault::is_outage;
use super::settings;
use super::watermark::ObserveError;
use crate::config::KafkaConfig;

/// How long looking for a first record may take.
const LOOK_DEADLINE: Duration = Duration::from_secs(30);
/// How long one poll waits.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Whether a topic of so many partitions may be written as if this stream had never
/// been mirrored into it: the first committed record of each partition, if there is
/// any, comes from another stream. What an aborted transaction left does not count.
///
/// # Errors
/// [`ObserveError`]: Kafka does not answer, or not in time; temporary.
pub(crate) fn is_free(
    kafka: &KafkaConfig,
    topic: &str,
    partitions: i32,
    stream: &StreamName,
) -> Result<bool, ObserveError> {
    let failed = |source| ObserveError::Request {
        topic: topic.into(),
        source,
    };
    let consumer: Reader = settings::bounded_reader(kafka, "eddyline-contents")
        .create_with_context(Quiet)
        .map_err(failed)?;
    let everything = (0..partitions).map(|partition| (partition, Offset::Beginning));
    assign(&consumer, topic, everything).map_err(failed)?;
    let mut unread: BTreeSet<i32> = (0..partitions).collect();
    let deadline = Instant::now() + LOOK_DEADLINE;
    while !unread.is_empty() {
        match consumer.poll(POLL_INTERVAL) {
            Some(Ok(record)) if unread.contains(&record.partition()) => {
                if !is_of_another(&record, stream) {
                    return Ok(false);
                }
                unread.remove(&record.partition());
            }
            Some(Ok(_)) => {}
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                unread.remove(&partition);
            }
            Some(Err(error)) if !is_outage(&error) => return Err(failed(error)),
            Some(Err(_)) | None if Instant::now() >= deadline => {
                return Err(ObserveError::Unsettled {
                    topic: topic.into(),
                });
            }
            Some(Err(_)) | None => {}
        }
    }
    Ok(true)
}

/// Whether a mirror of another stream wrote it.
fn is_of_another(record: &BorrowedMessage<'_>, stream: &StreamName) -> bool {
    let Some(headers) = record.headers() else {
        return false;
    };
    let positions = headers.iter().filter(|one| one.key == header::POSITION);
    let mut texts = positions.filter_map(|one| std::str::from_utf8(one.value?).ok());
    let source = texts.find_map(Source::parse);
    source.is_some_and(|source| source.stream != *stream)
}
