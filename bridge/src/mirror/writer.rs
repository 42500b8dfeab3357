//! The writer of one shard: a thread of its own around the transactional producer,
//! because every call of it may block.
//!
//! Owns the producer. It does what it is told in the order in which it is told;
//! after the first error it reports that and ends, and the producer with it: after
//! an unknown outcome a producer must never be used again. It knows nothing of
//! leases or of the reader.

use std::fmt::Write as _;
use std::time::Duration;

use protocol::bus::Stored;
use protocol::header;
use protocol::position::Epoch;
use protocol::record::{GAPS_KEPT_MAX, MirrorGap, MirrorGapReason, Progress};
use protocol::stream::StreamName;
use service::fault::Faults;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::routing::Route;
use crate::config::KafkaConfig;
use crate::kafka::fault::{KafkaFault, Verdict};
use crate::kafka::raw::{Producer, Record, RecordHeaders};
use crate::kafka::settings::{self, TRANSACTION_TIMEOUT};
use crate::metrics;

/// How long the start may wait for the predecessor's transaction to end.
const INIT_LIMIT: Duration = TRANSACTION_TIMEOUT.saturating_mul(2);
/// How long giving up an open transaction may take at the end.
const ABORT_LIMIT: Duration = Duration::from_secs(5);
/// How long a caller waits for the thread's end; past it, the next producer's start
/// ends the transaction.
const CLOSE_LIMIT: Duration = Duration::from_secs(8);
/// Commands that may wait; policy: the sender waits. Their size is bounded by the
/// relay's two transactions.
const COMMANDS_MAX: usize = 4;
/// Records between two looks at librdkafka's events.
const POLL_RECORDS: usize = 2_000;
/// Headers of a record beside the event's own.
const OWN_HEADERS: usize = 2;

/// An event and where it goes.
#[derive(Debug)]
pub(crate) struct Outbound {
    pub event: Stored,
    pub route: Route,
    pub partition: i32,
}

/// What the writer is told.
#[derive(Debug)]
pub(crate) enum Command {
    /// Write these; begins a transaction if none is open.
    Write(Vec<Outbound>),
    /// Write the progress record and the gaps that are new in it, and commit. Gaps
    /// that the writer itself has made are added to both.
    Commit(Box<Progress>, Vec<MirrorGap>),
}

/// What the writer tells.
#[derive(Debug)]
pub(crate) enum Report {
    /// The predecessor is fenced; commands may come.
    Ready,
    /// The last [`Command::Commit`] is committed.
    Committed(Box<Progress>),
    /// It has ended.
    Failed(KafkaFault),
}

/// What a writer needs to begin.
#[derive(Debug, Clone)]
pub(crate) struct WriterSetup {
    pub kafka: KafkaConfig,
    pub transactional_id: String,
    pub stream: StreamName,
    pub epoch: Epoch,
    pub progress_topic: String,
    pub progress_partition: i32,
    pub faults: Faults,
}

/// A running writer.
pub(crate) struct Writer {
    commands: mpsc::Sender<Command>,
    reports: mpsc::Receiver<Report>,
    ended: oneshot::Receiver<()>,
}

/// The writer has ended; its report says why.
#[derive(Debug)]
pub(crate) struct Ended;

impl Writer {
    /// Starts the thread, which first fences the predecessor and then reports
    /// [`Report::Ready`].
    ///
    /// # Errors
    /// The system has no more threads.
    pub(crate) fn spawn(name: String, setup: WriterSetup) -> std::io::Result<Self> {
        let (commands, command_queue) = mpsc::channel(COMMANDS_MAX);
        let (report_queue, reports) = mpsc::channel(COMMANDS_MAX);
        let (end, ended) = oneshot::channel();
        std::thread::Builder::new().name(name).spawn(move || {
            if let Err(fault) = Loop::start(setup, &report_queue)
                .and_then(|mut writer| writer.run(command_queue, &report_queue))
            {
                // Nobody listens when the run has ended for another reason.
                let _ = report_queue.blocking_send(Report::Failed(fault));
            }
            let _ = end.send(());
        })?;
        Ok(Self {
            commands,
            reports,
            ended,
        })
    }

    /// Hands a command over. Cancel safe: it is handed over wholly or not at all.
    ///
    /// # Errors
    /// [`Ended`]: look at the reports.
    pub(crate) async fn command(&self, command: Command) -> Result<(), Ended> {
        self.commands.send(command).await.map_err(|_| Ended)
    }

    /// The next report; `None` after the last. Cancel safe.
    pub(crate) async fn report(&mut self) -> Option<Report> {
        self.reports.recv().await
    }

    /// Ends it: an open transaction is aborted. Waits for that, within a limit.
    pub(crate) async fn close(self) {
        drop((self.commands, self.reports));
        if tokio::time::timeout(CLOSE_LIMIT, self.ended).await.is_err() {
            tracing::warn!("a producer does not end in time; the next one fences it");
        }
    }
}

/// The thread's own state.
struct Loop {
    setup: WriterSetup,
    producer: Producer,
    open: bool,
    /// Events of this transaction that are larger than their topic takes.
    oversized: Vec<MirrorGap>,
    /// Text of the position header; kept to spare an allocation for each record.
    position: String,
}

impl Loop {
    fn start(setup: WriterSetup, reports: &mpsc::Sender<Report>) -> Result<Self, KafkaFault> {
        let config = settings::transactional(&setup.kafka, &setup.transactional_id);
        let mut producer = Producer::new(config.config_map().into_iter())?;
        producer.init_transactions(INIT_LIMIT)?;
        let _ = reports.blocking_send(Report::Ready);
        Ok(Self {
            setup,
            producer,
            open: false,
            oversized: Vec::new(),
            position: String::new(),
        })
    }

    fn run(
        &mut self,
        mut commands: mpsc::Receiver<Command>,
        reports: &mpsc::Sender<Report>,
    ) -> Result<(), KafkaFault> {
        while let Some(command) = commands.blocking_recv() {
            match command {
                Command::Write(records) => self.write(&records)?,
                Command::Commit(mut progress, gaps) => {
                    self.commit(&mut progress, gaps)?;
                    if reports.blocking_send(Report::Committed(progress)).is_err() {
                        break;
                    }
                }
            }
        }
        // Left open, it would hide everything behind it from readers for 15 s.
        if self.open {
            self.producer.abort(ABORT_LIMIT)
        } else {
            Ok(())
        }
    }

    fn write(&mut self, records: &[Outbound]) -> Result<(), KafkaFault> {
        if !self.open {
            self.producer.begin()?;
            self.open = true;
        }
        self.setup.faults.hit("mirror.before_produce");
        let mut bytes = 0;
        for (at, record) in records.iter().enumerate() {
            if at == records.len() / 2 {
                self.setup.faults.hit("mirror.mid_batch");
            }
            if at % POLL_RECORDS == 0 {
                self.producer.poll();
            }
            match self.produce(record) {
                Ok(()) => bytes += record.event.payload.len(),
                Err(fault) if fault.verdict == Verdict::Record => self.pass_over(record, &fault),
                Err(fault) => return Err(fault),
            }
        }
        metrics::written(&self.setup.stream, records.len(), bytes);
        Ok(())
    }

    /// One event that can never be written must not hold up those behind it.
    fn pass_over(&mut self, record: &Outbound, fault: &KafkaFault) {
        let gap = MirrorGap {
            from: record.event.seq,
            to: record.event.seq,
            reason: MirrorGapReason::TooLarge,
            topic: Some(record.route.topic.to_string()),
        };
        tracing::warn!(stream = %self.setup.stream, seq = gap.from, topic = gap.topic, %fault, "an event is passed over");
        metrics::gap(&self.setup.stream, &gap);
        self.oversized.push(gap);
    }

    fn produce(&mut self, outbound: &Outbound) -> Result<(), KafkaFault> {
        let event = &outbound.event;
        let mut headers = RecordHeaders::with_capacity(event.headers.len() + OWN_HEADERS);
        for (name, value) in event.headers.iter() {
            headers.push(name, value.as_bytes());
        }
        self.position.truncate(0);
        // Writing to a string cannot fail.
        let _ = write!(
            self.position,
            "{}@{}:{}",
            self.setup.stream, self.setup.epoch, event.seq
        );
        headers.push(header::POSITION, self.position.as_bytes());
        headers.push(header::SUBJECT, event.subject.as_bytes());
        let record = Record {
            topic: &outbound.route.topic,
            partition: outbound.partition,
            key: outbound.route.key(event).map(str::as_bytes),
            value: &event.payload,
            time_ms: (event.time_us / 1_000).cast_signed(),
        };
        self.producer.produce(&record, headers)
    }

    fn commit(
        &mut self,
        progress: &mut Progress,
        mut gaps: Vec<MirrorGap>,
    ) -> Result<(), KafkaFault> {
        let started = Instant::now();
        progress.gaps.extend(self.oversized.iter().cloned());
        let excess = progress.gaps.len().saturating_sub(GAPS_KEPT_MAX);
        progress.gaps.drain(..excess);
        gaps.append(&mut self.oversized);
        if self.setup.faults.hit("mirror.progress_outside") {
            self.progress_outside(progress)?;
        } else {
            self.setup.progress(&mut self.producer, progress, &gaps)?;
        }
        self.setup.faults.hit("mirror.before_commit");
        self.producer.commit()?;
        self.open = false;
        self.setup.faults.hit("mirror.after_commit");
        metrics::committed(&self.setup.stream, started.elapsed());
        Ok(())
    }

    /// The mistake that the checker must find: progress that is not in the
    /// transaction of the records. Test builds only.
    fn progress_outside(&self, progress: &Progress) -> Result<(), KafkaFault> {
        let config = settings::producer(&self.setup.kafka);
        let mut plain = Producer::new(config.config_map().into_iter())?;
        self.setup.progress(&mut plain, progress, &[])?;
        plain.flush(ABORT_LIMIT)
    }
}

impl WriterSetup {
    /// Writes the progress record, and a record of its own for each new gap, which
    /// compaction keeps after the progress record has forgotten it.
    fn progress(
        &self,
        producer: &mut Producer,
        progress: &Progress,
        gaps: &[MirrorGap],
    ) -> Result<(), KafkaFault> {
        let stream = &progress.stream;
        for gap in gaps {
            let value = serde_json::to_vec(gap).expect("a gap is plain numbers and names");
            self.put(producer, &gap.key(stream), &value, progress.time)?;
        }
        let value =
            serde_json::to_vec(progress).expect("a progress record is plain numbers and names");
        self.put(producer, stream.as_str(), &value, progress.time)
    }

    fn put(
        &self,
        producer: &mut Producer,
        key: &str,
        value: &[u8],
        time_us: u64,
    ) -> Result<(), KafkaFault> {
        let record = Record {
            topic: &self.progress_topic,
            partition: self.progress_partition,
            key: Some(key.as_bytes()),
            value,
            time_ms: (time_us / 1_000).cast_signed(),
        };
        producer.produce(&record, RecordHeaders::with_capacity(0))
    }
}
