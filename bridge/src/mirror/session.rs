//! One session of a shard: from a lease to the loss of it, or to an error.
//!
//! The order of the start is what exactly-once stands on: fence the predecessor, only
//! then read the progress, look at the lease again, check that the stream is the one
//! that was mirrored, and read on from there.
//!
//! Owns reader, writer and relay for that time; the state itself is in Kafka.

use std::sync::Arc;
use std::time::Instant;

use bus::{BusError, Reader, ReaderOptions};
use protocol::bus::Stored;
use protocol::record::{GAPS_KEPT_MAX, Progress};

use super::progress::{self, ProgressError};
use super::relay::{Action, CommitPoint, Relay};
use super::routing::Router;
use super::shard::Shard;
use super::tenure::Tenure;
use super::topics::{Topics, TopicsError};
use super::writer::{Command, Outbound, Report, Writer, WriterSetup};
use crate::config::OnGap;
use crate::kafka::fault::{KafkaFault, Verdict};
use crate::metrics;
use crate::status::{ShardState, update};

/// How the stream is read: two pulls of this size wait in memory at most.
const READER: ReaderOptions = ReaderOptions {
    batch: 5_000,
    bytes_max: 4 * 1024 * 1024,
};

/// Why a session ended.
#[derive(Debug)]
pub(super) enum End {
    /// The service stops.
    Shutdown,
    /// Somebody else may work on the shard.
    LeaseLost,
    /// Somebody else does.
    Fenced,
    /// A new session starts from what the progress record says.
    Restart(SessionError),
    /// Only a person can say how to go on.
    Halt(SessionError),
}

/// What goes wrong in a session.
#[derive(Debug, thiserror::Error)]
pub(super) enum SessionError {
    #[error("the stream cannot be read")]
    Bus(#[from] BusError),
    #[error(transparent)]
    Kafka(#[from] KafkaFault),
    #[error(transparent)]
    Progress(#[from] ProgressError),
    #[error(transparent)]
    Topics(#[from] TopicsError),
    #[error("no thread for the producer")]
    Thread(#[source] std::io::Error),
    #[error("the writer ended without a reason")]
    Ended,
    #[error("stream {stream} has epoch {found}, the mirror holds epoch {recorded}")]
    Epoch {
        stream: String,
        recorded: String,
        found: String,
    },
    #[error(
        "stream {stream} was rolled back or made anew: sequence {seq} is not what was mirrored"
    )]
    RolledBack { stream: String, seq: u64 },
    #[error("sequences {from} to {to} are missing in stream {stream}, and on_gap is stop")]
    Gap { stream: String, from: u64, to: u64 },
    #[error("sequence {seq} of stream {stream} was not written by eddyline")]
    Foreign {
        stream: String,
        seq: u64,
        source: protocol::subject::SubjectError,
    },
}

impl SessionError {
    fn end(self) -> End {
        match &self {
            Self::Kafka(fault) => match fault.verdict {
                Verdict::Fenced => End::Fenced,
                Verdict::Record => End::Halt(self),
                Verdict::Restart => End::Restart(self),
            },
            Self::Bus(BusError::StreamChanged { .. })
            | Self::Progress(ProgressError::Malformed { .. })
            | Self::Topics(
                TopicsError::Partitions { .. }
                | TopicsError::Anew { .. }
                | TopicsError::Foreign { .. },
            )
            | Self::Epoch { .. }
            | Self::RolledBack { .. }
            | Self::Gap { .. }
            | Self::Foreign { .. } => End::Halt(self),
            _ => End::Restart(self),
        }
    }
}

/// Runs one session under a lease.
pub(super) async fn run(shard: &Arc<Shard>, tenure: &mut Tenure) -> End {
    let writer = match Writer::spawn(format!("mirror-{}", shard.stream), setup(shard)) {
        Ok(writer) => writer,
        Err(error) => return SessionError::Thread(error).end(),
    };
    let mut session = Session {
        shard: shard.clone(),
        writer,
        router: Router::new(&shard.config.kafka.topic_prefix),
        last: None,
    };
    let end = session.drive(tenure).await;
    // Whatever is open is aborted before anybody hears that the session has ended.
    session.writer.close().await;
    end
}

fn setup(shard: &Shard) -> WriterSetup {
    WriterSetup {
        kafka: shard.config.kafka.clone(),
        transactional_id: shard.config.transactional_id(&shard.stream),
        stream: shard.stream.clone(),
        epoch: shard.epoch.clone(),
        progress_topic: shard.progress_topic.clone(),
        progress_partition: shard.progress_partition,
        faults: shard.faults.clone(),
    }
}

struct Session {
    shard: Arc<Shard>,
    writer: Writer,
    router: Router,
    /// The last progress that is committed.
    last: Option<Progress>,
}

/// What a session works with once it has started.
struct Running {
    reader: Reader,
    relay: Relay,
    topics: Topics,
    lease: u64,
}

impl Session {
    async fn drive(&mut self, tenure: &mut Tenure) -> End {
        let shutdown = self.shard.shutdown.clone();
        // Every branch may be dropped at any time: the session ends with it.
        let running = tokio::select! {
            running = self.start(tenure) => running,
            () = shutdown.triggered() => return End::Shutdown,
        };
        let mut running = match running {
            Ok(Some(running)) => running,
            Ok(None) => return End::LeaseLost,
            Err(error) => return error.end(),
        };
        match self.mirror(&mut running, tenure).await {
            Ok(end) => end,
            Err(error) => error.end(),
        }
    }

    /// `None`: the lease was lost meanwhile.
    async fn start(&mut self, tenure: &Tenure) -> Result<Option<Running>, SessionError> {
        let shard = self.shard.clone();
        match self.writer.report().await {
            Some(Report::Ready) => {}
            Some(Report::Failed(fault)) => return Err(fault.into()),
            Some(Report::Committed(_)) | None => return Err(SessionError::Ended),
        }
        shard.faults.hit("mirror.takeover");
        self.last = self.read_progress().await?;
        if tenure.is_lost() {
            return Ok(None);
        }
        let seq = self.last.as_ref().map_or(0, |progress| progress.seq);
        let recorded = self
            .last
            .as_ref()
            .map(|progress| progress.partitions.clone())
            .unwrap_or_default();
        let state = shard.bus.stream_state(&shard.stream).await?;
        self.verify(state.first_seq, state.last_seq).await?;
        let topics = Topics::verify(shard.admin.clone(), shard.stream.clone(), recorded).await?;
        let reader = shard
            .bus
            .reader(&shard.stream, None, seq + 1, READER)
            .await?;
        let mut running = Running {
            reader,
            relay: Relay::new(seq, shard.config.commit_interval()),
            topics,
            lease: tenure.revision(),
        };
        tracing::info!(stream = %shard.stream, seq, first = state.first_seq, last = state.last_seq, "mirror starts");
        update(&shard.status, &shard.stream, |status| {
            status.state = ShardState::Mirroring
        });
        let actions = running.relay.begins_at(state.first_seq, Instant::now());
        self.perform(&mut running, actions).await?;
        Ok(Some(running))
    }

    async fn read_progress(&self) -> Result<Option<Progress>, ProgressError> {
        let shard = self.shard.clone();
        let read = tokio::task::spawn_blocking(move || {
            let stop = || shard.shutdown.is_triggered();
            progress::read(
                &shard.config.kafka,
                shard.admin.observer(),
                &shard.progress_topic,
                shard.progress_partition,
                &shard.stream,
                &stop,
            )
        });
        read.await.expect("reading the progress does not panic")
    }

    /// Checks that the stream is the one that the progress record speaks of.
    async fn verify(&self, first_seq: u64, last_seq: u64) -> Result<(), SessionError> {
        let Some(progress) = &self.last else {
            return Ok(());
        };
        let (shard, stream) = (&self.shard, self.shard.stream.to_string());
        if progress.epoch != shard.epoch {
            return Err(SessionError::Epoch {
                stream,
                recorded: progress.epoch.to_string(),
                found: shard.epoch.to_string(),
            });
        }
        let rolled_back = SessionError::RolledBack {
            stream,
            seq: progress.seq,
        };
        if progress.seq > last_seq {
            return Err(rolled_back);
        }
        // Time 0: the record ends with a gap, so there is no event to compare with.
        if progress.time == 0 || progress.seq < first_seq {
            return Ok(());
        }
        match shard.bus.get(&shard.stream, progress.seq).await? {
            Some(event) if event.time_us != progress.time => Err(rolled_back),
            _ => Ok(()),
        }
    }

    async fn mirror(
        &mut self,
        running: &mut Running,
        tenure: &mut Tenure,
    ) -> Result<End, SessionError> {
        let shutdown = self.shard.shutdown.clone();
        loop {
            let deadline = running.relay.deadline();
            // All branches are cancel safe: events stay in the reader and reports in
            // their queue until they are returned; the others only wait.
            let actions = tokio::select! {
                biased;
                () = shutdown.triggered() => return Ok(End::Shutdown),
                () = tenure.lost() => return Ok(End::LeaseLost),
                report = self.writer.report() => self.heard(report, running)?,
                () = sleep_until(deadline) => running.relay.tick(Instant::now()),
                events = running.reader.next_batch(), if running.relay.wants_events() => self.take(events?, running).await?,
            };
            // As above: the session ends when a branch is dropped half done.
            let heard = tokio::select! {
                heard = self.perform(running, actions) => heard?,
                () = shutdown.triggered() => return Ok(End::Shutdown),
            };
            if !heard {
                return self.ended().await;
            }
        }
    }

    fn heard(
        &mut self,
        report: Option<Report>,
        running: &mut Running,
    ) -> Result<Vec<Action>, SessionError> {
        match report {
            Some(Report::Committed(progress)) => {
                let lag = running.reader.pending();
                metrics::progress(&self.shard.stream, progress.seq, lag);
                self.shard.committed(&progress);
                self.last = Some(*progress);
                Ok(running.relay.committed(Instant::now()))
            }
            Some(Report::Failed(fault)) => Err(fault.into()),
            Some(Report::Ready) | None => Err(SessionError::Ended),
        }
    }

    async fn take(
        &self,
        events: Vec<Stored>,
        running: &mut Running,
    ) -> Result<Vec<Action>, SessionError> {
        let first_seq = if running.relay.jumps(&events) {
            self.shard
                .bus
                .stream_state(&self.shard.stream)
                .await?
                .first_seq
        } else {
            0
        };
        let caught_up = running.reader.pending() == 0;
        Ok(running
            .relay
            .events(events, first_seq, caught_up, Instant::now()))
    }

    /// False: the writer has ended; its last report says why.
    async fn perform(
        &mut self,
        running: &mut Running,
        actions: Vec<Action>,
    ) -> Result<bool, SessionError> {
        for action in actions {
            let command = match action {
                Action::Produce(events) => Command::Write(self.address(events, running).await?),
                Action::Commit(point) => self.commit(point, running)?,
            };
            if self.writer.command(command).await.is_err() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The writer has hung up: finds the report that says why.
    async fn ended(&mut self) -> Result<End, SessionError> {
        while let Some(report) = self.writer.report().await {
            if let Report::Failed(fault) = report {
                return Err(fault.into());
            }
        }
        Err(SessionError::Ended)
    }

    async fn address(
        &mut self,
        events: Vec<Stored>,
        running: &mut Running,
    ) -> Result<Vec<Outbound>, SessionError> {
        let mut outbound = Vec::with_capacity(events.len());
        for event in events {
            let route = self
                .router
                .route(&event)
                .map_err(|source| SessionError::Foreign {
                    stream: self.shard.stream.to_string(),
                    seq: event.seq,
                    source,
                })?;
            let Some(route) = route else { continue };
            let partitions = running.topics.ensure(&route.topic).await?;
            let partition = crate::kafka::partitioner::partition(
                route.key(&event).map(str::as_bytes),
                event.seq,
                partitions,
            );
            outbound.push(Outbound {
                event,
                route,
                partition,
            });
        }
        Ok(outbound)
    }

    fn commit(&self, point: CommitPoint, running: &Running) -> Result<Command, SessionError> {
        let shard = &self.shard;
        for gap in &point.gaps {
            metrics::gap(&shard.stream, gap);
            tracing::warn!(stream = %shard.stream, from = gap.from, to = gap.to, reason = ?gap.reason, "events are missing in the stream");
            if shard.config.on_gap == OnGap::Stop {
                return Err(SessionError::Gap {
                    stream: shard.stream.to_string(),
                    from: gap.from,
                    to: gap.to,
                });
            }
        }
        let mut gaps = self
            .last
            .as_ref()
            .map(|progress| progress.gaps.clone())
            .unwrap_or_default();
        gaps.extend(point.gaps.iter().cloned());
        gaps.drain(..gaps.len().saturating_sub(GAPS_KEPT_MAX));
        let progress = Progress {
            stream: shard.stream.clone(),
            epoch: shard.epoch.clone(),
            seq: point.seq,
            time: point.time_us.unwrap_or(0),
            gaps,
            partitions: running.topics.recorded().clone(),
            lease: running.lease,
        };
        Ok(Command::Commit(Box::new(progress), point.gaps))
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
