//! The part of a read that comes from Kafka: every record of a topic up to a
//! sequence, and exactly those.
//!
//! Runs on a thread of its own and blocks; a slow client blocks it, and librdkafka
//! stops fetching when its buffers are full. One writer fills a topic in the order of
//! the stream, so in each partition sequences only grow: the first record past the
//! sequence ends a partition, and its offset is where a later read goes on.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::{Message, Offset, TopicPartitionList};
use tokio::time::Instant;

use super::batch::Batch;
use super::fault::ReplayFault;
use super::out::Out;
use super::plan::Plan;
use super::record;
use super::search::Search;
use super::steps::Loss;
use super::token::Cursor;
use crate::config::KafkaConfig;
use crate::kafka::context::{Quiet, Reader, assign};
use crate::kafka::describe::Description;
use crate::kafka::fault::is_outage;
use crate::kafka::settings;
use crate::kafka::times;
use crate::kafka::watermark::{ObserveError, Observer, Watermarks};
use crate::proto::{EventMeta, GapReason};

/// How long one poll waits; also how soon a client that has gone is noticed.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// How long a topic that is mirrored is asked for: a broker that was cut off, or has
/// just started, does not know of topics that the others have.
const KNOWN_DEADLINE: Duration = Duration::from_secs(5);
/// Between two looks for it.
const KNOWN_INTERVAL: Duration = Duration::from_millis(200);
/// How long the first record kept of each partition may take.
const FIRST_DEADLINE: Duration = Duration::from_secs(30);

/// What a history is read with.
pub(super) struct History {
    pub kafka: KafkaConfig,
    pub observer: Arc<Observer>,
    pub plan: Plan,
    pub cursor: Cursor,
    /// The last sequence to give. The mirror must have it already.
    pub until: u64,
    /// What the progress record says of the topic's id; `None`: nothing of it has been
    /// mirrored.
    pub recorded: Option<String>,
    /// Losses up to this sequence have been made good, or told.
    pub settled: u64,
    /// Store time from which records are wanted, milliseconds since 1970, if it is
    /// known: spares reading what is before.
    pub since_ms: Option<i64>,
    pub out: Out,
}

/// What became of a history.
pub(super) enum Ran {
    /// It was given; go on here.
    Given(Cursor),
    /// Nothing was given: Kafka lacks events of this range.
    Lost(Cursor, Loss),
}

/// One partition while it is read.
struct Partition {
    /// Where the watermark stood when everything up to `until` was in it.
    high: i64,
    done: bool,
}

/// A history under way.
struct Reading<'a> {
    history: &'a mut History,
    consumer: Reader,
    partitions: Vec<Partition>,
    left: usize,
    batch: Batch,
    /// What every position begins with: `{stream}@{epoch}:`.
    origin: String,
}

impl History {
    /// Reads it and gives it out, unless Kafka lacks something of it.
    ///
    /// # Errors
    /// [`ReplayFault`]; [`ReplayFault::Gone`] once nobody listens any more.
    pub(super) fn run(mut self) -> Result<Ran, ReplayFault> {
        let Some(recorded) = self.recorded.clone() else {
            // Nothing of this namespace has been mirrored yet.
            self.cursor.offsets.clear();
            self.cursor.given.clear();
            return Ok(Ran::Given(self.cursor));
        };
        let found = self.known()?;
        if !recorded.is_empty() && found.id != recorded {
            // It was deleted and made anew: what it holds is not what was mirrored.
            self.cursor.offsets.clear();
            self.cursor.given.clear();
            return Ok(if self.settled >= self.until {
                Ran::Given(self.cursor)
            } else {
                let loss = Loss {
                    from: self.cursor.after + 1,
                    to: self.until,
                    reason: GapReason::Topic,
                };
                Ran::Lost(self.cursor, loss)
            });
        }
        if self.cursor.topic_id != found.id {
            self.cursor.offsets.clear();
            self.cursor.given.clear();
            self.cursor.topic_id = found.id;
        }
        let out = self.out.clone();
        let gone = || out.is_closed();
        let marks: Vec<_> = (0..found.partitions)
            .map(|partition| self.observer.settled(&self.plan.topic, partition, &gone))
            .collect::<Result<_, _>>()
            .map_err(stopped)?;
        let group = format!("eddyline-replay-{}", self.plan.target.tenant);
        let consumer: Reader =
            settings::bounded_reader(&self.kafka, &group).create_with_context(Quiet)?;
        let short = self.begin(&consumer, &marks)?;
        if let Some(loss) = self.lost(&consumer, &marks, &short)?
            && loss.to > self.settled
        {
            return Ok(Ran::Lost(self.cursor, loss));
        }
        let mut reading = Reading::new(&mut self, consumer, &marks)?;
        reading.drain()?;
        Ok(Ran::Given(self.cursor))
    }

    /// The topic, which is mirrored: a broker that does not know it is not believed at
    /// once.
    fn known(&self) -> Result<Description, ReplayFault> {
        let topics = [self.plan.topic.clone()];
        let deadline = Instant::now() + KNOWN_DEADLINE;
        loop {
            if let Some(found) = self.observer.describe(&topics)?.remove(&self.plan.topic) {
                return Ok(found);
            }
            if self.out.is_closed() {
                return Err(ReplayFault::Gone);
            }
            if Instant::now() >= deadline {
                return Err(ReplayFault::TopicUnknown {
                    topic: self.plan.topic.clone(),
                });
            }
            std::thread::sleep(KNOWN_INTERVAL);
        }
    }

    /// Sets the offset at which each partition begins; returns those partitions of
    /// which records before the first one kept may have been wanted.
    fn begin(
        &mut self,
        consumer: &Reader,
        marks: &[Watermarks],
    ) -> Result<Vec<usize>, ReplayFault> {
        let fresh = self.cursor.offsets.is_empty();
        self.cursor.offsets.resize(marks.len(), -1);
        self.cursor.given.resize(marks.len(), 0);
        match self.since_ms.filter(|_| fresh) {
            Some(since) => self.look_up(consumer, marks, since)?,
            None if fresh && self.cursor.after > 0 => {
                let search = Search {
                    reader: consumer,
                    topic: &self.plan.topic,
                    origin: &self.plan.target.origin(),
                    after: self.cursor.after,
                    out: &self.out,
                };
                self.cursor.offsets = search.run(marks)?;
            }
            None => {}
        }
        let mut short = Vec::new();
        let offsets = self.cursor.offsets.iter_mut().zip(marks);
        for (at, (offset, mark)) in offsets.enumerate() {
            // A fresh read was nowhere before: that the first record kept is wanted
            // says nothing of those before it.
            if mark.low > 0 && (*offset < mark.low || fresh && *offset == mark.low) {
                short.push(at);
            }
            *offset = (*offset).max(mark.low);
        }
        Ok(short)
    }

    /// What these partitions may have lost: of each, what was not given yet, up to the
    /// first record that it keeps.
    fn lost(
        &self,
        consumer: &Reader,
        marks: &[Watermarks],
        short: &[usize],
    ) -> Result<Option<Loss>, ReplayFault> {
        if short.is_empty() {
            return Ok(None);
        }
        let from = |at: &usize| (*at as i32, Offset::Offset(marks[*at].low));
        assign(consumer, &self.plan.topic, short.iter().map(from))?;
        let origin = self.plan.target.origin();
        let (mut unread, mut lost) = (short.to_vec(), None);
        let deadline = Instant::now() + FIRST_DEADLINE;
        while !unread.is_empty() {
            let (partition, before) = match consumer.poll(POLL_INTERVAL) {
                Some(Ok(found)) => {
                    let first =
                        record::sequence(&found, &origin).ok_or(ReplayFault::Record {
                            partition: found.partition(),
                            offset: found.offset(),
                        })??;
                    (found.partition(), first.saturating_sub(1))
                }
                // It keeps nothing.
                Some(Err(KafkaError::PartitionEOF(partition))) => (partition, self.until),
                Some(Err(error)) if !is_outage(&error) => return Err(error.into()),
                Some(Err(_)) | None if self.out.is_closed() => return Err(ReplayFault::Gone),
                Some(Err(_)) | None if Instant::now() >= deadline => {
                    return Err(ReplayFault::TopicUnknown {
                        topic: self.plan.topic.clone(),
                    });
                }
                Some(Err(_)) | None => continue,
            };
            let Some(at) = unread.iter().position(|at| *at == partition as usize) else {
                continue;
            };
            let given = self.cursor.given[unread.swap_remove(at)];
            let (from, to) = (self.cursor.after.max(given) + 1, before.min(self.until));
            if from <= to {
                let loss = lost.get_or_insert(Loss {
                    from,
                    to,
                    reason: GapReason::KafkaRetention,
                });
                (loss.from, loss.to) = (loss.from.min(from), loss.to.max(to));
            }
        }
        Ok(lost)
    }

    /// Offsets of the first records stored at a time or after it.
    fn look_up(
        &mut self,
        consumer: &Reader,
        marks: &[Watermarks],
        since_ms: i64,
    ) -> Result<(), ReplayFault> {
        let found = times::since(consumer, &self.plan.topic, marks, since_ms)?;
        for (at, offset) in self.cursor.offsets.iter_mut().zip(found) {
            // Of which nothing is said is read from its start, and what is older is left
            // out there.
            *at = offset.unwrap_or(*at);
        }
        Ok(())
    }
}

impl<'a> Reading<'a> {
    fn new(
        history: &'a mut History,
        consumer: Reader,
        marks: &[Watermarks],
    ) -> Result<Self, ReplayFault> {
        let mut list = TopicPartitionList::new();
        let mut partitions = Vec::with_capacity(marks.len());
        for (at, mark) in marks.iter().enumerate() {
            let offset = history.cursor.offsets[at];
            let done = offset >= mark.high;
            partitions.push(Partition {
                high: mark.high,
                done,
            });
            if !done {
                list.add_partition_offset(&history.plan.topic, at as i32, Offset::Offset(offset))?;
            }
        }
        let left = list.count();
        consumer.assign(&list)?;
        let origin = history.plan.target.origin();
        let batch = Batch::new(history.plan.limits);
        Ok(Self {
            history,
            consumer,
            partitions,
            left,
            batch,
            origin,
        })
    }

    fn drain(&mut self) -> Result<(), ReplayFault> {
        while self.left > 0 {
            // What is ready is sent before waiting for more.
            let event = match self.poll(Duration::ZERO) {
                Some(event) => Some(event),
                None => {
                    self.flush()?;
                    self.poll(POLL_INTERVAL)
                }
            };
            match event {
                Some(Polled::Given) => {}
                Some(Polled::End(partition)) => {
                    let high = self.partitions[partition].high;
                    self.finish(partition, high)?;
                }
                Some(Polled::Fault(fault)) => return Err(fault),
                None if self.history.out.is_closed() => return Err(ReplayFault::Gone),
                None => {}
            }
            if self.batch.is_full() {
                self.flush()?;
            }
        }
        self.flush()
    }

    fn poll(&mut self, wait: Duration) -> Option<Polled> {
        let message = match self.consumer.poll(wait)? {
            Ok(message) => message,
            // Reading began after the partition had settled at the mark or past it.
            Err(KafkaError::PartitionEOF(partition)) => {
                return Some(Polled::End(partition as usize));
            }
            Err(error) if is_outage(&error) => return Some(Polled::Given),
            Err(error) => return Some(Polled::Fault(error.into())),
        };
        let (partition, offset) = (message.partition() as usize, message.offset());
        let state = self.partitions.get(partition)?;
        if state.done {
            return Some(Polled::Given);
        }
        let high = state.high;
        let taken = take(&message, &self.origin, self.history);
        drop(message);
        Some(match taken {
            Err(fault) => Polled::Fault(fault),
            // Not ours to give: a later read begins with it.
            Ok(Taken::Later) => self
                .finish(partition, offset)
                .map_or_else(Polled::Fault, |()| Polled::Given),
            Ok(Taken::Event(event, sequence)) => {
                if let Some((meta, payload)) = event {
                    self.batch.push(meta, &payload);
                }
                let given = &mut self.history.cursor.given[partition];
                *given = sequence.max(*given);
                self.history.cursor.offsets[partition] = offset + 1;
                let ended = if offset + 1 >= high {
                    self.finish(partition, offset + 1)
                } else {
                    Ok(())
                };
                ended.map_or_else(Polled::Fault, |()| Polled::Given)
            }
        })
    }

    fn finish(&mut self, partition: usize, next: i64) -> Result<(), ReplayFault> {
        let state = &mut self.partitions[partition];
        if state.done {
            return Ok(());
        }
        state.done = true;
        self.left -= 1;
        let offset = &mut self.history.cursor.offsets[partition];
        *offset = next.max(*offset);
        let mut list = TopicPartitionList::new();
        list.add_partition(&self.history.plan.topic, partition as i32);
        Ok(self.consumer.pause(&list)?)
    }

    fn flush(&mut self) -> Result<(), ReplayFault> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let response = self
            .batch
            .take(&self.history.plan.target, &self.history.cursor);
        self.history.out.send_blocking(response)
    }
}

enum Polled {
    Given,
    End(usize),
    Fault(ReplayFault),
}

enum Taken {
    /// It is past the sequence that the history ends with.
    Later,
    /// An event to give, and its sequence; `None`: it was given before, or nobody asked
    /// for it.
    Event(Option<(EventMeta, Vec<u8>)>, u64),
}

fn take(
    message: &BorrowedMessage<'_>,
    origin: &str,
    history: &History,
) -> Result<Taken, ReplayFault> {
    let unreadable = || ReplayFault::Record {
        partition: message.partition(),
        offset: message.offset(),
    };
    let sequence = record::sequence(message, origin).ok_or_else(unreadable)??;
    if sequence > history.until {
        return Ok(Taken::Later);
    }
    if history
        .cursor
        .has_given(message.partition() as usize, sequence)
    {
        return Ok(Taken::Event(None, sequence));
    }
    let grant = &history.plan.grant;
    let event = record::event(message, sequence, grant).ok_or_else(unreadable)?;
    Ok(Taken::Event(event, sequence))
}

fn stopped(error: ObserveError) -> ReplayFault {
    match error {
        ObserveError::Stopped => ReplayFault::Gone,
        error => error.into(),
    }
}
