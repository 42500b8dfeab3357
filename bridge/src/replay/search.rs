//! Where a sequence lies in a topic whose sequences only grow: halving, all partitions
//! at once. The machine is pure; `run` asks Kafka for it and blocks.
//!
//! A read by sequence would else go through everything that was mirrored before.

use std::time::Duration;

use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::{Message, Offset};
use tokio::time::Instant;

use super::fault::ReplayFault;
use super::out::Out;
use super::record;
use crate::kafka::context::{Reader, assign};
use crate::kafka::fault::is_outage;
use crate::kafka::watermark::Watermarks;

/// Offsets that are read rather than halved further: a fetch brings about so many small
/// records anyway.
const NEAR: i64 = 1 << 12;
/// How long one poll waits; also how soon a client that has gone is noticed.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// How long the whole search may take; what it knows by then is used.
const SEARCH_DEADLINE: Duration = Duration::from_secs(10);

/// One partition: everything before `low` is of the sequence or before it, everything
/// from `high` on is after it, as far as is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Half {
    low: i64,
    high: i64,
}

impl Half {
    /// Where to look next; `None`: it is near.
    fn probe(self) -> Option<i64> {
        let span = self.high - self.low;
        (span > NEAR).then(|| self.low + span / 2)
    }

    /// What the first record at `probe` or behind it says: its offset and whether it is
    /// wanted. `None`: there is none before the end.
    fn learn(&mut self, probe: i64, found: Option<(i64, bool)>) {
        match found {
            Some((offset, false)) if offset < self.high => self.low = offset + 1,
            // Between the probe and it are marks of transactions alone.
            _ => self.high = probe,
        }
    }
}

/// A search for what is after a sequence.
pub(super) struct Search<'a> {
    pub reader: &'a Reader,
    pub topic: &'a str,
    /// What every position begins with.
    pub origin: &'a str,
    pub after: u64,
    pub out: &'a Out,
}

impl Search<'_> {
    /// Of each partition, an offset before which nothing is after the sequence.
    ///
    /// # Errors
    /// [`ReplayFault`]; [`ReplayFault::Gone`] once nobody listens any more.
    pub(super) fn run(&self, marks: &[Watermarks]) -> Result<Vec<i64>, ReplayFault> {
        let half = |mark: &Watermarks| Half {
            low: mark.low,
            high: mark.high,
        };
        let mut halves: Vec<Half> = marks.iter().map(half).collect();
        let deadline = Instant::now() + SEARCH_DEADLINE;
        while Instant::now() < deadline && self.round(&mut halves, deadline)? {}
        Ok(halves.into_iter().map(|half| half.low).collect())
    }

    /// Halves each partition once; false: all are near.
    fn round(&self, halves: &mut [Half], deadline: Instant) -> Result<bool, ReplayFault> {
        let mut probes: Vec<Option<i64>> = halves.iter().map(|half| half.probe()).collect();
        let places = (0..).zip(&probes);
        let places = places.filter_map(|(at, probe)| Some((at, Offset::Offset((*probe)?))));
        let places: Vec<_> = places.collect();
        if places.is_empty() {
            return Ok(false);
        }
        assign(self.reader, self.topic, places)?;
        while probes.iter().any(Option::is_some) {
            let (partition, found) = match self.reader.poll(POLL_INTERVAL) {
                Some(Ok(message)) => (message.partition(), Some(self.judge(&message)?)),
                Some(Err(KafkaError::PartitionEOF(partition))) => (partition, None),
                Some(Err(error)) if !is_outage(&error) => return Err(error.into()),
                Some(Err(_)) | None if self.out.is_closed() => return Err(ReplayFault::Gone),
                // What is not known is read.
                Some(Err(_)) | None if Instant::now() >= deadline => return Ok(false),
                Some(Err(_)) | None => continue,
            };
            let at = partition as usize;
            if let Some(probe) = probes.get_mut(at).and_then(Option::take) {
                halves[at].learn(probe, found);
            }
        }
        Ok(true)
    }

    /// A record's offset, and whether it is after the sequence.
    fn judge(&self, message: &BorrowedMessage<'_>) -> Result<(i64, bool), ReplayFault> {
        let sequence = record::sequence(message, self.origin);
        let sequence = sequence.ok_or_else(|| ReplayFault::Record {
            partition: message.partition(),
            offset: message.offset(),
        })??;
        Ok((message.offset(), sequence > self.after))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Nothing wanted lies before what is found, and little else after it.
        #[test]
        fn what_is_wanted_is_found(
            low in 0..1_000_i64,
            gaps in prop::collection::vec(1..40_i64, 0..2_000),
            first in 0..2_000_usize,
        ) {
            // The offsets of records; between them are marks of transactions.
            let mut at = low;
            let records: Vec<i64> = gaps.into_iter().map(|gap| {
                at += gap;
                at
            }).collect();
            let first = first.min(records.len());
            let mut half = Half { low, high: at + 1 };
            while let Some(probe) = half.probe() {
                let behind = records.iter().position(|offset| *offset >= probe);
                half.learn(probe, behind.map(|n| (records[n], n >= first)));
            }
            let left = records.partition_point(|offset| *offset < half.low);
            prop_assert!(left <= first);
            let most = records[left..first].last().map_or(0, |last| last - half.low + 1);
            prop_assert!(most <= NEAR + 40, "{half:?}");
        }
    }
}
