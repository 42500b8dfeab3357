//! What went before a time: the last sequence of a topic that is surely older.
//!
//! Blocks; runs on a thread. Owns a reader while it looks. A time says nothing of gaps,
//! which have sequences alone: whoever asks for what came after a time is told of the gaps
//! behind this sequence, and not of those that were long before.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::{Message, Offset};
use tokio::time::Instant;

use super::fault::ReplayFault;
use super::out::Out;
use super::plan::Plan;
use super::record;
use crate::config::KafkaConfig;
use crate::kafka::context::{Quiet, Reader, assign};
use crate::kafka::fault::is_outage;
use crate::kafka::settings;
use crate::kafka::times;
use crate::kafka::watermark::{Observer, Watermarks};

/// How many offsets before a time are looked at. Where they hold no record, nothing is
/// known of what went before.
const BACK: i64 = 1_000;
/// How long one poll waits; also how soon a client that has gone is noticed.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// How long looking at one partition may take; then nothing is known of it.
const LOOK_DEADLINE: Duration = Duration::from_secs(10);

/// A look at what went before a time.
pub(super) struct Since {
    pub kafka: KafkaConfig,
    pub observer: Arc<Observer>,
    pub plan: Plan,
    /// Milliseconds since 1970.
    pub since_ms: i64,
    pub out: Out,
}

impl Since {
    /// The last sequence that is known to be older than the time; 0: none is.
    ///
    /// # Errors
    /// [`ReplayFault`]; [`ReplayFault::Gone`] once nobody listens any more.
    pub(super) fn run(self) -> Result<u64, ReplayFault> {
        let topic = &self.plan.topic;
        let found = self.observer.describe(std::slice::from_ref(topic))?;
        let Some(found) = found.get(topic) else {
            return Ok(0);
        };
        let group = format!("eddyline-replay-{}", self.plan.target.tenant);
        let reader: Reader =
            settings::bounded_reader(&self.kafka, &group).create_with_context(Quiet)?;
        let marks: Vec<_> = (0..found.partitions)
            .map(|partition| {
                let marks = reader.fetch_watermarks(topic, partition, LOOK_DEADLINE);
                marks.map(|(low, high)| Watermarks { low, high })
            })
            .collect::<Result<_, _>>()?;
        let offsets = times::since(&reader, topic, &marks, self.since_ms)?;
        let mut before = 0;
        for ((partition, mark), at) in (0..).zip(&marks).zip(offsets) {
            // One of which nothing is said says nothing of what went before.
            let at = at.unwrap_or(mark.low);
            let from = mark.low.max(at - BACK);
            if from < at {
                before = before.max(self.last(&reader, partition, from, at)?);
            }
        }
        Ok(before)
    }

    /// The last sequence in a partition from one offset up to another; 0 where it holds
    /// none, or does not say.
    fn last(&self, reader: &Reader, at: i32, from: i64, to: i64) -> Result<u64, ReplayFault> {
        assign(reader, &self.plan.topic, [(at, Offset::Offset(from))])?;
        let origin = self.plan.target.origin();
        let (mut last, deadline) = (0, Instant::now() + LOOK_DEADLINE);
        loop {
            match reader.poll(POLL_INTERVAL) {
                // A record of the partition before.
                Some(Ok(found)) if found.partition() != at => {}
                Some(Ok(found)) if found.offset() >= to => return Ok(last),
                // One that is not readable is told where it is given.
                Some(Ok(found)) => {
                    if let Some(sequence) = record::sequence(&found, &origin) {
                        last = sequence?;
                    }
                    if found.offset() + 1 >= to {
                        return Ok(last);
                    }
                }
                Some(Err(KafkaError::PartitionEOF(partition))) if partition == at => {
                    return Ok(last);
                }
                Some(Err(KafkaError::PartitionEOF(_))) => {}
                Some(Err(error)) if !is_outage(&error) => return Err(error.into()),
                Some(Err(_)) | None if self.out.is_closed() => return Err(ReplayFault::Gone),
                Some(Err(_)) | None if Instant::now() >= deadline => return Ok(0),
                Some(Err(_)) | None => {}
            }
        }
    }
}
