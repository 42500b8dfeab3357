//! Following a stream in order: an ack-none pull consumer in memory, read through
//! one inbox subscription with two overlapping pull requests, which is the fastest
//! way that async-nats offers.
//!
//! Owns the consumer and the place in the stream. What a consumer delivers carries
//! its own count; when a number is missing, when heartbeats stay away, when the
//! consumer is lost or the connection was made anew, the reader makes a new consumer
//! from the last sequence + 1. It yields each event once, in order.
//!
//! What breaks the connection may be the very message that comes next, so after each
//! break that one is read by itself (`single`) before a consumer is made.

mod single;
mod source;

use std::time::Duration;

use async_nats::Message;
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use rand::Rng;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use self::source::{ConsumerConfig, CreateConsumer, Created, Heard, Pull, Source};
use super::connection::Bus;
use crate::error::BusError;
use crate::following::{ReaderOptions, Start};
use crate::limits::READER_BATCH_MAX;
use protocol::bus::Stored;

/// Pull requests under way, so that the server never waits for the next one.
const PULLS: usize = 2;
/// How long a pull request stands before it is renewed.
const PULL_EXPIRES: Duration = Duration::from_secs(30);
/// How often an idle server says that it is there.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// How long nothing at all may come before the consumer counts as lost: three
/// heartbeats and a half.
const SILENCE_MAX: Duration = Duration::from_millis(3_500);
/// How long the server keeps a consumer that nobody pulls from. A caller that pauses
/// longer finds it gone and gets a new one.
const INACTIVE_THRESHOLD: Duration = Duration::from_secs(60);
/// First and longest wait between attempts to make the consumer anew.
const REBUILD_DELAY_MIN: Duration = Duration::from_millis(20);
const REBUILD_DELAY_MAX: Duration = Duration::from_secs(1);
/// Room that a pull request leaves beside the largest payload for subject and reply.
const PULL_BYTES_SLACK: usize = 64 << 10;

const _: () =
    assert!(PULLS * READER_BATCH_MAX + 1_024 <= super::connection::SUBSCRIPTION_MESSAGES_MAX);
const _: () = assert!(
    HEARTBEAT.as_millis() * 2 <= PULL_EXPIRES.as_millis(),
    "the server refuses other heartbeats"
);

/// Reads a stream, or one filter of it, in order.
pub(crate) struct Reader {
    bus: Bus,
    stream: String,
    filter: Option<String>,
    start: Start,
    options: ReaderOptions,
    connects: watch::Receiver<u64>,
    /// When the stream was created; another time is another stream.
    created_us: u64,
    /// The last sequence that was taken; 0: none.
    last: u64,
    pending: u64,
    /// Taken, not yet returned.
    ready: Vec<Stored>,
    source: Option<Source>,
    /// Whether what comes next must be read by itself.
    suspects: bool,
    /// Until when everything is read by itself.
    careful_until: Option<Instant>,
}

impl Bus {
    /// Follows a stream, or only a filter of it.
    pub(crate) async fn reader(
        &self,
        stream: &str,
        filter: Option<String>,
        start: Start,
        mut options: ReaderOptions,
    ) -> Result<Reader, BusError> {
        options.check()?;
        options.bytes_max = options.bytes_max.max(self.max_payload() + PULL_BYTES_SLACK);
        let created_us = self.details(stream).await?.state()?.created_us;
        let mut reader = Reader {
            bus: self.clone(),
            stream: stream.into(),
            filter,
            start,
            options,
            connects: self.connects(),
            created_us,
            last: 0,
            pending: 0,
            ready: Vec::new(),
            source: None,
            suspects: false,
            careful_until: None,
        };
        reader.build().await?;
        Ok(reader)
    }
}

impl Reader {
    /// How many events wait in the stream behind the last one that was yielded.
    pub fn pending(&self) -> u64 {
        self.pending
    }

    /// The last sequence that was yielded; 0 before the first.
    pub fn last_seq(&self) -> u64 {
        self.last
    }

    /// Waits for at least one event and returns what is ready, at most one batch.
    /// Breaks are repaired inside, for as long as they last. Cancel safe: what was not
    /// returned comes with the next call.
    ///
    /// # Errors
    /// [`BusError::StreamChanged`] or [`BusError::NotFound`] when the stream is not the
    /// one that was being read; a refusal by the server that is not temporary.
    pub async fn next_batch(&mut self) -> Result<Vec<Stored>, BusError> {
        let mut delay = REBUILD_DELAY_MIN;
        loop {
            // Whatever is taken waits in `ready` until it is returned, so that being
            // cancelled in these awaits loses nothing. What has come is taken before a
            // break is noticed: the next one is then what may have caused it.
            if let Err(reason) = self.gather() {
                self.lose(reason);
            }
            if self.ready.is_empty() && self.connects.has_changed().unwrap_or(false) {
                self.connects.mark_unchanged();
                self.lose("the connection was made anew");
            }
            if self.ready.is_empty() && self.source.is_none() {
                match self.resume().await {
                    Ok(()) => {}
                    Err(error) if error.temporary() => {
                        tokio::time::sleep(delay).await;
                        delay = (delay * 2).min(REBUILD_DELAY_MAX);
                        continue;
                    }
                    Err(error) => return Err(error),
                }
            }
            self.pull().await?;
            if !self.ready.is_empty() {
                return Ok(std::mem::take(&mut self.ready));
            }
            if let Err(reason) = self.wait().await {
                self.lose(reason);
            }
        }
    }

    /// Takes what has arrived, without waiting, up to one batch.
    fn gather(&mut self) -> Result<(), &'static str> {
        while self.ready.len() < self.options.batch {
            let Some(source) = &mut self.source else {
                return Ok(());
            };
            // Outside Tokio's budget, which would end every batch at 128 events.
            let next = tokio::task::unconstrained(source.messages.next()).now_or_never();
            match next {
                None => return Ok(()),
                Some(message) => self.take(message)?,
            }
        }
        Ok(())
    }

    /// Waits for a message and takes it.
    async fn wait(&mut self) -> Result<(), &'static str> {
        let Some(source) = &mut self.source else {
            return Ok(());
        };
        let silent = source.heard + SILENCE_MAX;
        // All branches are cancel safe: a message leaves the queue only when it is returned.
        let message = tokio::select! {
            biased;
            message = source.messages.next() => message,
            _ = self.connects.changed() => {
                return Err("the connection was made anew");
            }
            () = tokio::time::sleep_until(silent) => return Err("the server was silent"),
        };
        self.take(message)
    }

    /// Notes one message of the consumer.
    fn take(&mut self, message: Option<Message>) -> Result<(), &'static str> {
        let Some(source) = &mut self.source else {
            return Ok(());
        };
        let Some(message) = message else {
            return Err("the subscription ended");
        };
        source.heard = Instant::now();
        match source.hear(message) {
            Heard::Nothing => Ok(()),
            Heard::Broken(reason) => Err(reason),
            Heard::Event(event, pending) => {
                if event.seq <= self.last {
                    return Err("the consumer went back");
                }
                self.last = event.seq;
                self.pending = pending;
                self.ready.push(event);
                Ok(())
            }
        }
    }

    /// Keeps the pull requests standing.
    async fn pull(&mut self) -> Result<(), BusError> {
        let batch = self.options.batch;
        let Some(source) = &mut self.source else {
            return Ok(());
        };
        while source.owed + batch <= PULLS * batch {
            let request = Pull {
                batch,
                max_bytes: self.options.bytes_max,
                expires: PULL_EXPIRES.as_nanos(),
                idle_heartbeat: HEARTBEAT.as_nanos(),
            };
            let body = serde_json::to_vec(&request)
                .map_err(|_| BusError::Malformed { what: "request" })?;
            let to = format!(
                "$JS.API.CONSUMER.MSG.NEXT.{}.{}",
                self.stream, source.consumer
            );
            let reply = format!("{}.{}", source.inbox, source.pulls);
            let sent = self
                .bus
                .inner
                .client
                .publish_with_reply(to, reply, body.into())
                .await;
            sent.map_err(|error| self.bus.publish_error(&error))?;
            if source.owed == 0 {
                source.heard = Instant::now();
            }
            source.owed += batch;
            source.pulls += 1;
        }
        Ok(())
    }

    /// Gives the consumer up; the next step makes another.
    fn lose(&mut self, reason: &'static str) {
        self.suspects = true;
        if let Some(source) = self.source.take() {
            metrics::counter!("nats_reader_rebuilt_total").increment(1);
            tracing::debug!(
                stream = self.stream,
                last = self.last,
                reason,
                "consumer is made anew"
            );
            self.discard(source);
        }
    }

    /// Tells the server that a consumer is not needed any more. It would find out by
    /// itself; so nobody waits for this, and a loss of it does no harm.
    fn discard(&self, source: Source) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let (client, stream) = (self.bus.inner.client.clone(), self.stream.clone());
        runtime.spawn(async move {
            let call = format!("$JS.API.CONSUMER.DELETE.{stream}.{}", source.consumer);
            let _ = timeout_at(
                Instant::now() + SILENCE_MAX,
                client.publish(call, Bytes::new()),
            )
            .await;
            drop(source);
        });
    }

    /// Goes on after a loss, after a check that the stream is still the same one.
    async fn resume(&mut self) -> Result<(), BusError> {
        let state = self.bus.details(&self.stream).await?.state()?;
        if state.created_us != self.created_us || state.last_seq < self.last {
            return Err(BusError::changed(&self.stream));
        }
        if self.suspects && self.read_singly().await? {
            return Ok(());
        }
        self.suspects = false;
        self.build().await
    }

    async fn build(&mut self) -> Result<(), BusError> {
        let consumer = format!("r{:032x}", rand::rng().random::<u128>());
        let inbox = self.bus.inner.client.new_inbox();
        let messages = self.bus.inner.client.subscribe(format!("{inbox}.*")).await;
        let messages = messages.map_err(|_| BusError::Disconnected)?;
        let (deliver_policy, opt_start_seq) = match self.start {
            _ if self.last > 0 => ("by_start_sequence", Some(self.last + 1)),
            Start::Seq(seq) => ("by_start_sequence", Some(seq)),
            Start::LastPerSubject => ("last_per_subject", None),
        };
        let query = CreateConsumer {
            stream_name: &self.stream,
            action: "create",
            config: ConsumerConfig {
                name: &consumer,
                deliver_policy,
                opt_start_seq,
                ack_policy: "none",
                replay_policy: "instant",
                filter_subject: self.filter.as_deref(),
                inactive_threshold: INACTIVE_THRESHOLD.as_nanos(),
                num_replicas: 1,
                mem_storage: true,
            },
        };
        let mut call = format!("CONSUMER.CREATE.{}.{consumer}", self.stream);
        if let Some(filter) = &self.filter {
            call.push('.');
            call.push_str(filter);
        }
        let created: Created = self.bus.api(&call, &query).await?;
        self.pending = created.num_pending;
        self.source = Some(Source {
            consumer,
            inbox,
            messages,
            delivered: 0,
            owed: 0,
            pulls: 0,
            heard: Instant::now(),
        });
        Ok(())
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some(source) = self.source.take() {
            self.discard(source);
        }
    }
}
