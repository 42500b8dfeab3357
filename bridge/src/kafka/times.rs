//! Where what was stored since a time begins in a topic. Blocks; owns nothing.

use std::time::Duration;

use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};

use super::context::Reader;
use super::watermark::Watermarks;

/// How long looking may take.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(10);

/// Of each partition, the offset of the first record that was stored at a time or later,
/// in milliseconds since 1970; its end where all its records are older. `None`: Kafka does
/// not say.
///
/// # Errors
/// Kafka does not answer; temporary.
pub(crate) fn since(
    reader: &Reader,
    topic: &str,
    marks: &[Watermarks],
    since_ms: i64,
) -> Result<Vec<Option<i64>>, KafkaError> {
    let mut times = TopicPartitionList::new();
    for partition in 0..marks.len() {
        times.add_partition_offset(topic, partition as i32, Offset::Offset(since_ms))?;
    }
    let mut offsets = vec![None; marks.len()];
    for found in reader.offsets_for_times(times, LOOKUP_TIMEOUT)?.elements() {
        let at = found.partition() as usize;
        offsets[at] = match found.offset() {
            _ if found.error().is_err() => None,
            Offset::Offset(offset) => Some(offset),
            Offset::End => Some(marks[at].high),
            _ => None,
        };
    }
    Ok(offsets)
}
