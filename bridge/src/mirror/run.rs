//! One run of a shard: from a lease to the loss of it, or to an error.
//!
//! Before a batch is written, it is known what to do with each of its topics. When one
//! is new, the open transaction is committed first: making hundreds of topics takes
//! longer than a transaction may live.
//!
//! Owns reader, writer, relay and topics for that time; the state itself is in Kafka.

use std::collections::BTreeSet;
use std::sync::Arc;

use bus::Reader;
use protocol::bus::Stored;
use protocol::record::{GAPS_KEPT_MAX, MirrorGap, MirrorGapReason, Progress};
use protocol::subject::SubjectError;
use tokio::time::Instant;

use super::end::{End, RunError};
use super::look::{self, Look, Looks};
use super::relay::{Action, CommitPoint, Relay};
use super::routing::Router;
use super::shard::Shard;
use super::start::{Started, is_current, start};
use super::survey::{self, Finding};
use super::tenure::Tenure;
use super::topics::{Topics, Trouble};
use super::writer::{Command, Outbound, Report, Writer, WriterSetup};
use crate::config::{OnBrokenTopic, OnGap};
use crate::kafka::admin::TopicError;
use crate::kafka::partitioner;
use crate::metrics;
use crate::status::ShardState;

/// Runs the shard once under a lease.
pub(super) async fn run(shard: &Arc<Shard>, tenure: &mut Tenure) -> End {
    let mut writer = match Writer::spawn(format!("mirror-{}", shard.stream), setup(shard)) {
        Ok(writer) => writer,
        Err(error) => return RunError::Thread(error).end(),
    };
    let end = drive(shard, &mut writer, tenure).await;
    // Whatever is open is aborted before anybody hears that the run has ended.
    writer.close().await;
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

async fn drive(shard: &Arc<Shard>, writer: &mut Writer, tenure: &mut Tenure) -> End {
    let shutdown = shard.shutdown.clone();
    // Every branch may be dropped at any time: the run ends with it.
    let started = tokio::select! {
        started = start(shard, writer, tenure) => started,
        () = shutdown.triggered() => return End::Shutdown,
    };
    let started = match started {
        Ok(Some(started)) => started,
        Ok(None) => return End::LeaseLost,
        Err(error) => return error.end(),
    };
    let mut run = Run::new(shard, writer, &started);
    match run.begin(started, tenure).await {
        Ok(end) => end,
        Err(error) => error.end(),
    }
}

struct Run<'a> {
    shard: &'a Arc<Shard>,
    writer: &'a mut Writer,
    router: Router,
    /// What was read and cannot be written before its topics are known.
    held: Option<Held>,
    /// Gaps that were found since the last commit, beside those of relay and topics.
    found: Vec<MirrorGap>,
    /// The stream's last sequence, as far as it is known.
    stored: u64,
    looks: Looks,
}

/// A batch whose topics are not all known.
struct Held {
    events: Vec<Stored>,
    topics: BTreeSet<String>,
}

/// What changes while a run lasts.
struct Running {
    reader: Reader,
    relay: Relay,
    topics: Topics,
    last: Option<Progress>,
    lease: u64,
}

impl<'a> Run<'a> {
    fn new(shard: &'a Arc<Shard>, writer: &'a mut Writer, started: &Started) -> Self {
        Self {
            shard,
            writer,
            router: Router::new(&shard.config.kafka.topic_prefix),
            held: None,
            found: Vec::new(),
            stored: started.last_seq,
            looks: Looks::new(),
        }
    }

    async fn begin(&mut self, started: Started, tenure: &mut Tenure) -> Result<End, RunError> {
        let mut running = Running {
            reader: started.reader,
            relay: started.relay,
            topics: started.topics,
            last: started.last,
            lease: started.lease,
        };
        self.note(started.findings, &mut running)?;
        self.shard.state(ShardState::Mirroring);
        self.lag(&running);
        let actions = running.relay.begins_at(started.first_seq, Instant::now());
        if !self.perform(&mut running, actions).await? {
            return self.ended().await;
        }
        self.mirror(&mut running, tenure).await
    }

    async fn mirror(
        &mut self,
        running: &mut Running,
        tenure: &mut Tenure,
    ) -> Result<End, RunError> {
        let shutdown = self.shard.shutdown.clone();
        loop {
            // As below: the run ends when a branch is dropped half done.
            let heard = tokio::select! {
                heard = self.step(running) => heard?,
                () = shutdown.triggered() => return Ok(End::Shutdown),
                () = tenure.lost() => return Ok(End::LeaseLost),
            };
            if !heard {
                return self.ended().await;
            }
        }
    }

    /// Waits for one thing to happen and does what follows. False: the writer has ended.
    async fn step(&mut self, running: &mut Running) -> Result<bool, RunError> {
        let actions = if self.held.is_some() && running.relay.is_idle() {
            self.release(running).await?
        } else {
            self.next(running).await?
        };
        self.perform(running, actions).await
    }

    async fn next(&mut self, running: &mut Running) -> Result<Vec<Action>, RunError> {
        let (deadline, look) = (running.relay.deadline(), self.looks.due());
        let reads = self.held.is_none() && running.relay.wants_events();
        // All branches are cancel safe: events stay in the reader, reports and looks in
        // their queues until they are returned; the others only wait.
        tokio::select! {
            biased;
            report = self.writer.report() => self.heard(report, running),
            found = self.looks.next() => self.looked(found, running),
            () = sleep_until(deadline) => Ok(running.relay.tick(Instant::now())),
            () = sleep_until(Some(look)) => {
                self.looks.begin(self.shard, running.topics.recorded());
                Ok(Vec::new())
            }
            events = running.reader.next_batch(), if reads => self.take(events?, running).await,
        }
    }

    fn heard(
        &mut self,
        report: Option<Report>,
        running: &mut Running,
    ) -> Result<Vec<Action>, RunError> {
        match report {
            Some(Report::Committed(progress)) => {
                self.shard.committed(&progress);
                running.last = Some(*progress);
                self.lag(running);
                Ok(running.relay.committed(Instant::now()))
            }
            Some(Report::Failed(fault)) => Err(fault.into()),
            Some(Report::Ready) | None => Err(RunError::Ended),
        }
    }

    fn looked(&mut self, look: Look, running: &mut Running) -> Result<Vec<Action>, RunError> {
        match look {
            Look::End(stored) => {
                self.stored = stored.unwrap_or(0).max(self.stored);
                self.lag(running);
            }
            Look::Topics(Ok(topics)) => {
                if topics.settings {
                    running.topics.look_again();
                }
                self.note_again(topics, running)?;
            }
            Look::Topics(Err(error @ TopicError::Ground(_))) => return Err(error.into()),
            // Kafka is away; the producer finds out whether that matters.
            Look::Topics(Err(error)) => {
                tracing::debug!(stream = %self.shard.stream, %error, "the topics cannot be looked at");
            }
        }
        Ok(Vec::new())
    }

    /// A look without settings does not know whether those that differed still do.
    fn note_again(&mut self, look: look::Topics, running: &mut Running) -> Result<(), RunError> {
        let mut findings = look.findings;
        if !look.settings {
            findings.retain(|(topic, finding)| finding.is_err() || !running.topics.differs(topic));
        }
        self.note(findings, running)
    }

    /// Takes what was found of topics.
    fn note(&mut self, findings: Vec<Finding>, running: &mut Running) -> Result<(), RunError> {
        for (topic, finding) in findings {
            match finding {
                Ok(found) => running.topics.good(&topic, found),
                Err(trouble @ Trouble::Foreign { .. }) if running.last.is_none() => {
                    return Err(RunError::ProgressLost(trouble));
                }
                Err(trouble) if self.shard.config.on_broken_topic == OnBrokenTopic::Stop => {
                    return Err(RunError::Broken(trouble));
                }
                Err(trouble) => {
                    let text = trouble.to_string();
                    if running.topics.broken_by(&topic, trouble) {
                        tracing::error!(stream = %self.shard.stream, topic, problem = text, "a topic is passed over until it is as it was");
                    }
                }
            }
        }
        self.shard.topics(&running.topics);
        Ok(())
    }

    /// Shows how far the mirror is behind the stream itself, whatever the reader says.
    fn lag(&self, running: &Running) {
        let mirrored = running.last.as_ref().map_or(0, |progress| progress.seq);
        metrics::lag(&self.shard.stream, self.stored.saturating_sub(mirrored));
    }

    async fn take(
        &mut self,
        events: Vec<Stored>,
        running: &mut Running,
    ) -> Result<Vec<Action>, RunError> {
        let last = events.last().map_or(0, |event| event.seq);
        self.stored = self.stored.max(last + running.reader.pending());
        let routes = events
            .iter()
            .filter_map(|event| self.router.route(event).ok().flatten());
        let unknown: BTreeSet<String> = routes
            .filter(|route| !running.topics.knows(&route.topic))
            .map(|route| route.topic.to_string())
            .collect();
        if unknown.is_empty() {
            return self.pass_on(events, running).await;
        }
        self.held = Some(Held {
            events,
            topics: unknown,
        });
        Ok(running.relay.flush().into_iter().collect())
    }

    /// Makes sure of the topics of what is held, and lets it go.
    async fn release(&mut self, running: &mut Running) -> Result<Vec<Action>, RunError> {
        let Some(held) = self.held.take() else {
            return Ok(Vec::new());
        };
        let topics: Vec<String> = held.topics.into_iter().collect();
        self.shard.faults.hit("mirror.before_resolve");
        let findings = survey::resolve(&self.shard.admin, &self.shard.stream, &topics).await?;
        // What a successor has written looks like what nobody recorded.
        let foreign = |(_, finding): &Finding| matches!(finding, Err(Trouble::Foreign { .. }));
        if findings.iter().any(foreign) && !is_current(self.shard, running.last.as_ref()).await? {
            return Err(RunError::Superseded);
        }
        self.note(findings, running)?;
        self.pass_on(held.events, running).await
    }

    async fn pass_on(
        &self,
        events: Vec<Stored>,
        running: &mut Running,
    ) -> Result<Vec<Action>, RunError> {
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
    ) -> Result<bool, RunError> {
        for action in actions {
            let command = match action {
                Action::Produce(events) => Command::Write(self.address(events, running)),
                Action::Commit(point) => self.commit(point, running)?,
            };
            if self.writer.command(command).await.is_err() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The writer has hung up: finds the report that says why.
    async fn ended(&mut self) -> Result<End, RunError> {
        while let Some(report) = self.writer.report().await {
            if let Report::Failed(fault) = report {
                return Err(fault.into());
            }
        }
        Err(RunError::Ended)
    }

    /// Says where events go. Those of broken topics, and those that nobody can read,
    /// are passed over.
    fn address(&mut self, events: Vec<Stored>, running: &mut Running) -> Vec<Outbound> {
        let mut outbound = Vec::with_capacity(events.len());
        let mut missed = 0;
        for event in events {
            let route = match self.router.route(&event) {
                Ok(Some(route)) => route,
                Ok(None) => continue,
                Err(error) => {
                    self.unreadable(&event, &error);
                    continue;
                }
            };
            let Some(partitions) = running.topics.place(&route.topic, event.seq) else {
                missed += 1;
                continue;
            };
            let key = route.key(&event).map(str::as_bytes);
            let partition = partitioner::partition(key, event.seq, partitions);
            outbound.push(Outbound {
                event,
                route,
                partition,
            });
        }
        metrics::missed(&self.shard.stream, MirrorGapReason::Topic, missed);
        outbound
    }

    /// Somebody else than eddyline wrote it: it stops nobody.
    fn unreadable(&mut self, event: &Stored, error: &SubjectError) {
        tracing::warn!(stream = %self.shard.stream, seq = event.seq, subject = event.subject, %error, "a stored message is passed over");
        metrics::missed(&self.shard.stream, MirrorGapReason::Unreadable, 1);
        match self.found.last_mut() {
            Some(gap) if gap.to + 1 == event.seq => gap.to = event.seq,
            _ => self.found.push(MirrorGap {
                from: event.seq,
                to: event.seq,
                reason: MirrorGapReason::Unreadable,
                topic: None,
            }),
        }
    }

    fn commit(&mut self, point: CommitPoint, running: &mut Running) -> Result<Command, RunError> {
        let shard = self.shard;
        for gap in &point.gaps {
            metrics::gap(&shard.stream, gap);
            tracing::warn!(stream = %shard.stream, from = gap.from, to = gap.to, reason = ?gap.reason, "events are missing in the stream");
            if shard.config.on_gap == OnGap::Stop {
                return Err(RunError::Gap {
                    stream: shard.stream.to_string(),
                    from: gap.from,
                    to: gap.to,
                });
            }
        }
        let mut progress = Progress {
            stream: shard.stream.clone(),
            epoch: shard.epoch.clone(),
            seq: point.seq,
            time: point.time_us.unwrap_or(0),
            gaps: Vec::new(),
            partitions: Default::default(),
            topic_ids: Default::default(),
            passed: Default::default(),
            lease: running.lease,
        };
        let (ended, growing) = running.topics.commit(&mut progress);
        let mut new = point.gaps;
        new.append(&mut self.found);
        new.extend(ended);
        if let Some(last) = &running.last {
            progress.gaps.clone_from(&last.gaps);
        }
        progress.gaps.extend(new.iter().cloned());
        let excess = progress.gaps.len().saturating_sub(GAPS_KEPT_MAX);
        progress.gaps.drain(..excess);
        new.extend(growing);
        Ok(Command::Commit(Box::new(progress), new))
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
