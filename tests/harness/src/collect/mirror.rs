//! Kafka read back as records, by a consumer of its own that sees what any
//! read-committed consumer sees. Of the bridge it uses nothing but the layout that
//! the protocol crate lays down.
//!
//! Everything here blocks and belongs on a thread. Owns its consumer only.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, bail};
use checker::{MirrorGap, Mirrored};
use protocol::header::{self, Headers};
use protocol::position::Source;
use protocol::record::{self, Progress};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers as _};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use tokio::time::Instant;

use super::streams;
use crate::{body_hash, wait};

/// How long one poll waits.
const POLL: Duration = Duration::from_millis(100);
/// Topics that are read at a time.
const READERS: usize = 16;
/// How long the broker may take to tell its topics.
const METADATA_TIMEOUT: Duration = Duration::from_secs(20);
/// Between stream and sequence in the key of a gap's own record.
const GAP_KEY: &str = "/gap/";

/// Everything of one mirror.
#[derive(Debug, Default)]
pub struct Mirror {
    /// Its records.
    pub records: Vec<Mirrored>,
    /// Losses that it announced.
    pub gaps: Vec<MirrorGap>,
    /// Events of single topics that it says it does not hold; a gap that grew is here
    /// as it was told last.
    pub passed: Vec<record::MirrorGap>,
    /// How far each stream is, by its name.
    pub progress: BTreeMap<String, u64>,
}

/// Reads how far the mirror is with each stream.
///
/// # Errors
/// Kafka does not answer, or a record is not readable.
pub fn progress(bootstrap: &str, prefix: &str) -> anyhow::Result<BTreeMap<String, u64>> {
    let topic = record::progress_topic(prefix);
    Ok(read_topics(bootstrap, prefix, |name| name == topic)?.progress)
}

/// Reads every committed record of every topic of a mirror.
///
/// # Errors
/// Kafka does not answer, or a record is not readable.
pub fn read(bootstrap: &str, prefix: &str) -> anyhow::Result<Mirror> {
    let own = format!("{prefix}.");
    read_topics(bootstrap, prefix, |name| name.starts_with(&own))
}

fn read_topics(
    bootstrap: &str,
    prefix: &str,
    wanted: impl Fn(&str) -> bool,
) -> anyhow::Result<Mirror> {
    let consumer = consumer(bootstrap)?;
    let metadata = consumer
        .fetch_metadata(None, METADATA_TIMEOUT)
        .context("kafka's topics")?;
    let topics: Vec<(&str, BTreeSet<i32>)> = metadata
        .topics()
        .iter()
        .filter(|topic| wanted(topic.name()))
        .map(|topic| {
            let partitions = topic.partitions().iter();
            let partitions = partitions.map(|partition| partition.id()).collect();
            (topic.name(), partitions)
        })
        .collect();
    let progress = record::progress_topic(prefix);
    // A topic takes half a second of waiting, whatever it holds.
    let parts = std::thread::scope(|scope| {
        let part = topics.len().div_ceil(READERS).max(1);
        let readers = topics.chunks(part);
        let readers = readers.map(|topics| scope.spawn(|| read_part(bootstrap, topics, &progress)));
        let readers: Vec<_> = readers.collect();
        let joined = readers.into_iter().map(|reader| reader.join());
        joined.collect::<Vec<_>>()
    });
    let mut mirror = Mirror::default();
    for part in parts {
        match part {
            Ok(part) => mirror.append(part?),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
    Ok(mirror)
}

fn read_part(
    bootstrap: &str,
    topics: &[(&str, BTreeSet<i32>)],
    progress: &str,
) -> anyhow::Result<Mirror> {
    let mut mirror = Mirror::default();
    for (topic, partitions) in topics {
        read_topic(bootstrap, topic, partitions.clone(), |message| {
            match *topic == progress {
                true => mirror.take_progress(message),
                false => mirrored(message).map(|record| mirror.records.push(record)),
            }
        })
        .with_context(|| format!("topic {topic}"))?;
    }
    Ok(mirror)
}

fn consumer(bootstrap: &str) -> anyhow::Result<BaseConsumer> {
    let consumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "eddyline-tests")
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("auto.offset.reset", "error")
        .set("allow.auto.create.topics", "false")
        .set("fetch.wait.max.ms", "20")
        .create()?;
    Ok(consumer)
}

/// Reads one topic to the last stable offset of each partition. One topic at a time,
/// because the event that tells an end names the partition alone.
fn read_topic(
    bootstrap: &str,
    topic: &str,
    mut open: BTreeSet<i32>,
    mut take: impl FnMut(&BorrowedMessage<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let consumer = consumer(bootstrap)?;
    let mut list = TopicPartitionList::new();
    for partition in &open {
        list.add_partition_offset(topic, *partition, Offset::Beginning)?;
    }
    consumer.assign(&list)?;
    let deadline = Instant::now() + wait::DEADLINE;
    while !open.is_empty() {
        match consumer.poll(POLL) {
            Some(Ok(message)) => take(&message)?,
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                open.remove(&partition);
            }
            Some(Err(error)) => return Err(error.into()),
            None => {}
        }
        if Instant::now() > deadline {
            bail!("the ends of partitions {open:?} are not reached");
        }
    }
    Ok(())
}

fn text<'a>(bytes: Option<&'a [u8]>, what: &str) -> anyhow::Result<&'a str> {
    std::str::from_utf8(bytes.with_context(|| format!("a record without {what}"))?)
        .context("not a text")
}

impl Mirror {
    fn append(&mut self, other: Self) {
        self.records.extend(other.records);
        self.gaps.extend(other.gaps);
        self.passed.extend(other.passed);
        self.progress.extend(other.progress);
    }

    fn take_progress(&mut self, message: &BorrowedMessage<'_>) -> anyhow::Result<()> {
        let key = text(message.key(), "key")?;
        let value = message
            .payload()
            .context("a progress record without value")?;
        if let Some((stream, _)) = key.split_once(GAP_KEY) {
            let gap: record::MirrorGap = serde_json::from_slice(value)?;
            if gap.topic.is_some() {
                self.passed
                    .retain(|told| (told.from, &told.topic) != (gap.from, &gap.topic));
                self.passed.push(gap);
                return Ok(());
            }
            self.gaps.push(MirrorGap {
                stream: stream.to_owned(),
                from: gap.from,
                to: gap.to,
            });
        } else {
            let progress: Progress = serde_json::from_slice(value)?;
            self.progress.insert(key.to_owned(), progress.seq);
        }
        Ok(())
    }
}

fn mirrored(message: &BorrowedMessage<'_>) -> anyhow::Result<Mirrored> {
    let mut headers = Headers::new();
    for header in message
        .headers()
        .into_iter()
        .flat_map(|headers| headers.iter())
    {
        headers.push_read(header.key, text(header.value, "header value")?);
    }
    let position = headers.get(header::POSITION).and_then(Source::parse);
    let position =
        position.with_context(|| format!("{}: a record without position", message.topic()))?;
    let subject = headers
        .get(header::SUBJECT)
        .context("a record without subject")?;
    Ok(Mirrored {
        stream: position.stream.to_string(),
        seq: position.seq,
        topic: message.topic().to_owned(),
        partition: message.partition(),
        offset: message.offset(),
        key: text(message.key(), "key")?.to_owned(),
        channel: streams::channel(subject, &headers).unwrap_or_default(),
        body: body_hash(message.payload().unwrap_or_default()),
        id: streams::id(&headers),
    })
}
