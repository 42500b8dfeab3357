//! Kafka read back as records, by a consumer of its own that sees what any
//! read-committed consumer sees. Of the bridge it uses nothing but the layout that
//! the protocol crate lays down.
//!
//! Everything here blocks and belongs on a thread. Owns its consumer only.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use checker::{MirrorGap, Mirrored};
use protocol::header::{self, Headers};
use protocol::position::Source;
use protocol::record::{self, Progress};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers as _};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};

use super::streams;
use crate::{body_hash, wait};

/// How long one poll waits.
const POLL: Duration = Duration::from_millis(100);
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

fn read_topics(bootstrap: &str, prefix: &str, wanted: impl Fn(&str) -> bool) -> anyhow::Result<Mirror> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "eddyline-tests")
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("auto.offset.reset", "error")
        .set("allow.auto.create.topics", "false")
        .create()?;
    let metadata = consumer.fetch_metadata(None, METADATA_TIMEOUT).context("kafka's topics")?;
    let (mut open, mut list) = (BTreeSet::new(), TopicPartitionList::new());
    for topic in metadata.topics().iter().filter(|topic| wanted(topic.name())) {
        for partition in topic.partitions() {
            list.add_partition_offset(topic.name(), partition.id(), Offset::Beginning)?;
            open.insert((topic.name().to_owned(), partition.id()));
        }
    }
    let mut mirror = Mirror::default();
    if open.is_empty() {
        return Ok(mirror);
    }
    consumer.assign(&list)?;
    let progress = record::progress_topic(prefix);
    let deadline = Instant::now() + wait::DEADLINE;
    // The end event names a partition without its topic, so positions decide.
    while !open.is_empty() {
        if Instant::now() > deadline {
            bail!("the ends of {open:?} are not reached");
        }
        match consumer.poll(POLL) {
            Some(Ok(message)) if message.topic() == progress => mirror.take_progress(&message)?,
            Some(Ok(message)) => mirror.records.push(mirrored(&message)?),
            Some(Err(KafkaError::PartitionEOF(_))) | None => close_read(&consumer, &mut open)?,
            Some(Err(error)) => return Err(error.into()),
        }
    }
    Ok(mirror)
}

/// Takes out the partitions that are read to their last stable offset.
fn close_read(consumer: &BaseConsumer, open: &mut BTreeSet<(String, i32)>) -> anyhow::Result<()> {
    let positions = consumer.position()?;
    let mut read = Vec::new();
    for (topic, partition) in open.iter() {
        let (low, high) = consumer.fetch_watermarks(topic, *partition, METADATA_TIMEOUT)?;
        let at = positions.find_partition(topic, *partition).map(|found| found.offset());
        let at_end = match at {
            Some(Offset::Offset(at)) => at >= high,
            _ => low >= high,
        };
        if at_end {
            read.push((topic.clone(), *partition));
        }
    }
    for partition in read {
        open.remove(&partition);
    }
    Ok(())
}

fn text<'a>(bytes: Option<&'a [u8]>, what: &str) -> anyhow::Result<&'a str> {
    std::str::from_utf8(bytes.with_context(|| format!("a record without {what}"))?).context("not a text")
}

impl Mirror {
    fn take_progress(&mut self, message: &BorrowedMessage<'_>) -> anyhow::Result<()> {
        let key = text(message.key(), "key")?;
        let value = message.payload().context("a progress record without value")?;
        if let Some((stream, _)) = key.split_once(GAP_KEY) {
            let gap: record::MirrorGap = serde_json::from_slice(value)?;
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
    for header in message.headers().into_iter().flat_map(|headers| headers.iter()) {
        headers.push_read(header.key, text(header.value, "header value")?);
    }
    let position = headers.get(header::POSITION).and_then(Source::parse);
    let position = position.with_context(|| format!("{}: a record without position", message.topic()))?;
    let subject = headers.get(header::SUBJECT).context("a record without subject")?;
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
