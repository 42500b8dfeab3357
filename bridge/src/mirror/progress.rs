//! Reading the progress topic: once, to its end, before a shard starts; and for
//! ever, by whoever wants to know how far the mirror is.
//!
//! Everything here blocks and belongs on a thread. Owns its consumers only.

use std::collections::BTreeMap;
use std::time::Duration;

use protocol::record::Progress;
use protocol::stream::StreamName;
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::{Message, Offset};
use tokio::time::Instant;

use crate::config::KafkaConfig;
use crate::kafka::context::{Quiet, Reader, assign};
use crate::kafka::fault::is_outage;
use crate::kafka::settings::{self, Isolation};
use crate::kafka::watermark::{ObserveError, Observer};

/// How long reading the whole partition may take; compaction keeps it short.
const READ_DEADLINE: Duration = Duration::from_secs(30);
/// How long one poll waits.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// How long the tail waits before it begins anew after an error.
const TAIL_RETRY: Duration = Duration::from_millis(500);

/// Why the progress is not known.
#[derive(Debug, thiserror::Error)]
pub enum ProgressError {
    /// Kafka did not answer, or not in time; temporary.
    #[error("the progress topic {topic} cannot be read")]
    Read {
        /// The topic.
        topic: String,
        /// Why.
        source: KafkaError,
    },
    /// Its end was not reached in time; temporary.
    #[error("the end of the progress topic {topic} is not reached in time")]
    Late {
        /// The topic.
        topic: String,
    },
    /// A record that this version cannot read.
    #[error("the progress record at offset {offset} of {topic} is not readable")]
    Malformed {
        /// The topic.
        topic: String,
        /// The record's offset.
        offset: i64,
        /// Why.
        source: serde_json::Error,
    },
    /// The watermarks are not known; temporary.
    #[error(transparent)]
    Observe(#[from] ObserveError),
}

/// The shard's last committed progress record: the partition is read to its end,
/// after nothing of it hides behind an open transaction any more. The caller has
/// fenced the predecessor before, or the answer may be stale.
///
/// # Errors
/// [`ProgressError`].
pub(crate) fn read(
    kafka: &KafkaConfig,
    observer: &Observer,
    topic: &str,
    partition: i32,
    stream: &StreamName,
    stop: &dyn Fn() -> bool,
) -> Result<Option<Progress>, ProgressError> {
    let marks = observer.settled(topic, partition, stop)?;
    let failed = |source| ProgressError::Read {
        topic: topic.into(),
        source,
    };
    if marks.low >= marks.high {
        return Ok(None);
    }
    let consumer: Reader = settings::bounded_reader(kafka, "eddyline-progress")
        .create_with_context(Quiet)
        .map_err(failed)?;
    assign(&consumer, topic, [(partition, Offset::Offset(marks.low))]).map_err(failed)?;
    let deadline = Instant::now() + READ_DEADLINE;
    let mut last = None;
    loop {
        match consumer.poll(POLL_INTERVAL) {
            Some(Ok(message)) => {
                let ends = message.offset() + 1 >= marks.high;
                if let Some(progress) = parse(topic, &message, stream)? {
                    last = Some(progress);
                }
                if ends {
                    return Ok(last);
                }
            }
            // Reading began after the partition had settled, so its end is at the mark
            // or behind it.
            Some(Err(KafkaError::PartitionEOF(_))) => return Ok(last),
            Some(Err(error)) if !is_outage(&error) => return Err(failed(error)),
            Some(Err(_)) | None if stop() => return Err(ObserveError::Stopped.into()),
            Some(Err(_)) | None if Instant::now() >= deadline => {
                return Err(ProgressError::Late {
                    topic: topic.into(),
                });
            }
            Some(Err(_)) | None => {}
        }
    }
}

/// Follows the progress of several shards until `stop`; tells each record once it is
/// committed. Blocks; errors are logged and followed by another attempt.
pub(crate) fn tail(
    kafka: &KafkaConfig,
    topic: &str,
    of: &BTreeMap<StreamName, i32>,
    stop: &dyn Fn() -> bool,
    mut tell: impl FnMut(Progress),
) {
    while !stop() {
        if let Err(error) = tail_once(kafka, topic, of, stop, &mut tell) {
            tracing::warn!(%error, topic, "the mirror's progress is not known at the moment");
            std::thread::sleep(TAIL_RETRY);
        }
    }
}

fn tail_once(
    kafka: &KafkaConfig,
    topic: &str,
    of: &BTreeMap<StreamName, i32>,
    stop: &dyn Fn() -> bool,
    tell: &mut impl FnMut(Progress),
) -> Result<(), ProgressError> {
    let failed = |source| ProgressError::Read {
        topic: topic.into(),
        source,
    };
    let consumer: Reader = settings::reader(kafka, "eddyline-progress-tail", Isolation::Committed)
        .create_with_context(Quiet)
        .map_err(failed)?;
    assign(
        &consumer,
        topic,
        of.values().map(|partition| (*partition, Offset::Beginning)),
    )
    .map_err(failed)?;
    while !stop() {
        match consumer.poll(POLL_INTERVAL) {
            Some(Ok(message)) => {
                let stream = of
                    .iter()
                    .find(|(_, partition)| **partition == message.partition())
                    .map(|(stream, _)| stream);
                if let Some(progress) = stream
                    .map(|stream| parse(topic, &message, stream))
                    .transpose()?
                    .flatten()
                {
                    tell(progress);
                }
            }
            Some(Err(KafkaError::PartitionEOF(_))) | None => {}
            Some(Err(error)) if is_outage(&error) => {}
            Some(Err(error)) => return Err(failed(error)),
        }
    }
    Ok(())
}

/// The progress in a record, `None` for records of gaps.
fn parse(
    topic: &str,
    message: &BorrowedMessage<'_>,
    stream: &StreamName,
) -> Result<Option<Progress>, ProgressError> {
    if message.key() != Some(stream.as_str().as_bytes()) {
        return Ok(None);
    }
    let progress = serde_json::from_slice(message.payload().unwrap_or_default());
    progress
        .map(Some)
        .map_err(|source| ProgressError::Malformed {
            topic: topic.into(),
            offset: message.offset(),
            source,
        })
}
