//! The bus: one connection, over NATS or over the model.
//!
//! Owns nothing but the backend; every call goes through to it. What both backends
//! share (buckets, scans, modules, leases, the bootstrap) is written once over these
//! calls.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use serde_json::{Map, Value};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::details::StreamDetails;
use crate::error::BusError;
use crate::incoming::Incoming;
use crate::known::Known;
use crate::{model, nats};
use protocol::bus::{BatchAck, Chunk, Outgoing, PubAck, Stored, StreamState};
use protocol::stream::StreamName;
use protocol::subject::Subject;
use service::settings::NatsSettings;

/// The call, on whichever backend there is.
macro_rules! either {
    ($bus:expr, $backend:ident => $call:expr) => {
        match &$bus.0 {
            Backend::Nats($backend) => $call,
            Backend::Model($backend) => $call,
        }
    };
}

/// A connection to the bus; clones share it. Reconnects for ever by itself.
#[derive(Clone)]
pub struct Bus(pub(crate) Backend, pub(crate) Arc<Known>);

/// What carries it.
#[derive(Clone)]
pub(crate) enum Backend {
    Nats(nats::Bus),
    Model(model::Connection),
}

impl std::fmt::Debug for Bus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        either!(self, bus => bus.fmt(f))
    }
}

impl Bus {
    /// Connects to NATS. `name` is what the server shows. Replies come under
    /// `_INBOX_{user}`, or `_INBOX_{name}` without a user, where the user must be
    /// allowed to publish and subscribe ([`protocol::permission`]).
    ///
    /// # Errors
    /// [`BusError::Connect`] if the first attempt fails; later breaks are repaired
    /// without the caller.
    pub async fn connect(settings: &NatsSettings, name: &str) -> Result<Self, BusError> {
        let bus = nats::Bus::connect(settings, name).await?;
        Ok(Self(Backend::Nats(bus), Arc::default()))
    }

    /// Whether it can read and write, as a value to watch.
    pub fn connected(&self) -> watch::Receiver<bool> {
        either!(self, bus => bus.connected())
    }

    /// How often what reads was connected, as a value to watch: every change means that
    /// messages of core subscriptions may have been missed.
    pub fn connects(&self) -> watch::Receiver<u64> {
        either!(self, bus => bus.connects())
    }

    /// Sends what waits, then closes; bounded in time.
    pub async fn drain(&self) {
        either!(self, bus => bus.drain().await);
    }

    /// Most bytes that headers and payload of one message may have together.
    pub fn max_payload(&self) -> usize {
        either!(self, bus => bus.max_payload())
    }

    /// Subscribes to a subject without a stream. What is published after the next
    /// [`Self::flush`] arrives; after a break of the connection some is missing.
    ///
    /// # Errors
    /// [`BusError::Disconnected`] once the connection is closed.
    pub async fn subscribe(&self, subject: &Subject) -> Result<Subscription, BusError> {
        Ok(Subscription(match &self.0 {
            Backend::Nats(bus) => Source::Nats(bus.subscribe(subject).await?),
            Backend::Model(bus) => Source::Model(bus.subscribe(subject).await?),
        }))
    }

    /// Publishes without a stream: at most once, no answer.
    ///
    /// # Errors
    /// [`BusError::Disconnected`], [`BusError::TooLarge`], [`BusError::Header`].
    pub async fn publish_core(&self, message: Outgoing) -> Result<(), BusError> {
        either!(self, bus => bus.publish_core(message).await)
    }

    /// Waits until the server has processed everything that was sent before, to be
    /// stored or not: messages to ourselves, there and back.
    ///
    /// # Errors
    /// [`BusError::Disconnected`], [`BusError::Timeout`].
    pub async fn flush(&self) -> Result<(), BusError> {
        either!(self, bus => bus.flush().await)
    }

    /// Hands an event to the connection, in the order of calls, and returns its
    /// acknowledgement to wait for. Cancel safe: cancelled, it has not been sent.
    ///
    /// # Errors
    /// Nothing has been sent when this fails: [`BusError::Disconnected`],
    /// [`BusError::TooLarge`], [`BusError::Header`]. The acknowledgement itself fails
    /// with [`BusError::Timeout`] (outcome unknown), [`BusError::NoStream`],
    /// [`BusError::StreamFull`], [`BusError::GuardRefused`] or [`BusError::Api`].
    pub async fn publish_start(&self, message: Outgoing) -> Result<PendingAck, BusError> {
        let pending = match &self.0 {
            Backend::Nats(bus) => Pending::Nats(bus.publish_start(message).await?),
            Backend::Model(bus) => Pending::Model(bus.publish_start(message).await?),
        };
        Ok(PendingAck(pending, self.1.clone()))
    }

    /// Publishes an event and waits until the stream has stored it.
    ///
    /// # Errors
    /// As [`Self::publish_start`] and its acknowledgement. Not cancel safe: cancelled,
    /// the outcome is unknown.
    pub async fn publish(&self, message: Outgoing) -> Result<PubAck, BusError> {
        self.publish_start(message).await?.await
    }

    /// Stores all events of a batch together, contiguously and in input order, or
    /// none. Conditions are checked for each event, and an id that the stream already
    /// has refuses the whole batch without remembering its other ids.
    ///
    /// # Errors
    /// [`BusError::GuardRefused`], [`BusError::Duplicate`], [`BusError::BatchBusy`],
    /// [`BusError::BatchAbandoned`], [`BusError::BatchSize`], [`BusError::StreamFull`]:
    /// nothing was stored. [`BusError::Timeout`]: the outcome is unknown. Not cancel
    /// safe: cancelled, the outcome is unknown.
    pub async fn commit_batch(&self, batch: Vec<Outgoing>) -> Result<BatchAck, BusError> {
        let ack = either!(self, bus => bus.commit_batch(batch).await)?;
        self.1.saw(&ack.stream, ack.last_seq);
        Ok(ack)
    }

    /// As [`Self::commit_batch`], for those who can store the events in another way than
    /// together: a stream that has too many batches open is asked once, not for seconds.
    ///
    /// # Errors
    /// As [`Self::commit_batch`], [`BusError::BatchBusy`] at once. Not cancel safe either.
    pub async fn commit_batch_unless_busy(
        &self,
        batch: Vec<Outgoing>,
    ) -> Result<BatchAck, BusError> {
        let ack = either!(self, bus => bus.commit_batch_unless_busy(batch).await)?;
        self.1.saw(&ack.stream, ack.last_seq);
        Ok(ack)
    }

    /// The event at a sequence, from the stream's leader; `None` if there is none.
    ///
    /// # Errors
    /// [`BusError::NotFound`] if there is no such stream; those of a request. Cancel safe.
    pub async fn get(&self, stream: &StreamName, seq: u64) -> Result<Option<Stored>, BusError> {
        either!(self, bus => bus.get(stream, seq).await)
    }

    /// The last event on a subject or filter, from the stream's leader.
    ///
    /// # Errors
    /// As [`Self::get`]. Cancel safe.
    pub async fn last_on(
        &self,
        stream: &StreamName,
        subject: &Subject,
    ) -> Result<Option<Stored>, BusError> {
        self.leader_last(stream.as_str(), subject.as_str()).await
    }

    /// The first event kept on a subject or filter, from the stream's leader.
    ///
    /// # Errors
    /// As [`Self::get`]. Cancel safe.
    pub async fn first_on(
        &self,
        stream: &StreamName,
        subject: &Subject,
    ) -> Result<Option<Stored>, BusError> {
        self.first_from(stream, subject, 1).await
    }

    /// The first event on a subject or filter at or after a sequence, from the stream's
    /// leader.
    ///
    /// # Errors
    /// As [`Self::get`]. Cancel safe.
    pub async fn first_from(
        &self,
        stream: &StreamName,
        subject: &Subject,
        from: u64,
    ) -> Result<Option<Stored>, BusError> {
        self.leader_next(stream.as_str(), subject.as_str(), from)
            .await
    }

    /// The first sequence on a filter that was stored at or after a time
    /// (microseconds since 1970), from the stream's leader; `None` if there is none.
    ///
    /// # Errors
    /// As [`Self::get`]. Cancel safe.
    pub async fn first_since(
        &self,
        stream: &StreamName,
        filter: &Subject,
        since_us: u64,
    ) -> Result<Option<u64>, BusError> {
        either!(self, bus => bus.first_since(stream, filter, since_us).await)
    }

    /// What the stream's leader says of its stream.
    ///
    /// # Errors
    /// [`BusError::Behind`] if it ends before what this process has stored or read, and
    /// [`BusError::StreamChanged`] if it stays so: it was rolled back. Those of
    /// [`Self::get`]. Cancel safe.
    pub async fn stream_state(&self, stream: &StreamName) -> Result<StreamState, BusError> {
        // Before it is asked: what is stored meanwhile may not be in the answer.
        let known = self.1.highest(stream);
        let state = either!(self, bus => bus.stream_state(stream).await)?;
        self.1
            .judge(stream, known, state.last_seq, Instant::now())?;
        Ok(state)
    }

    /// The clock of the server that leads a stream, microseconds since 1970: the clock by
    /// which its events are stamped.
    ///
    /// # Errors
    /// As [`Self::get`]. Cancel safe.
    pub async fn server_time(&self, stream: &StreamName) -> Result<u64, BusError> {
        Ok(self.describe(stream.as_str()).await?.time_us)
    }

    /// The last sequence on each of at most [`crate::LAST_SEQS_MAX`] subjects; subjects
    /// without an event are left out. For probes: a follower may answer.
    ///
    /// # Errors
    /// [`BusError::Limit`]; those of a request. Cancel safe.
    pub async fn last_seqs(
        &self,
        stream: &StreamName,
        subjects: &[Subject],
    ) -> Result<Vec<(String, u64)>, BusError> {
        either!(self, bus => bus.last_seqs(stream, subjects).await)
    }

    /// Up to `limit` events (at most [`crate::NEXT_EVENTS_MAX`]) on a filter from a
    /// sequence on, about `bytes_max` bytes at most. A follower may answer, and
    /// `more: false` is no proof that there are none: [`Self::scan`] has one.
    ///
    /// # Errors
    /// [`BusError::Limit`]; those of a request. Cancel safe.
    pub async fn next_on(
        &self,
        stream: &StreamName,
        filter: &Subject,
        from_seq: u64,
        limit: usize,
        bytes_max: usize,
    ) -> Result<Chunk, BusError> {
        let (stream, filter) = (stream.as_str(), filter.as_str());
        let (events, pending) = self
            .next_run(stream, filter, from_seq, limit, bytes_max)
            .await?;
        Ok(Chunk {
            events,
            more: pending > 0,
        })
    }
}

impl model::Model {
    /// Another process's connection; `name` is what [`Self::cut`] knows it by.
    pub fn connect(&self, name: &str) -> Bus {
        Bus(Backend::Model(self.open(name)), Arc::default())
    }
}

/// What buckets, scans, modules and the bootstrap are made of.
impl Bus {
    /// A stream's configuration and state, from its leader.
    pub(crate) async fn describe(&self, stream: &str) -> Result<StreamDetails, BusError> {
        either!(self, bus => bus.describe(stream).await)
    }

    /// Makes a stream. One that is there with the same settings counts as made.
    pub(crate) async fn create_stream(
        &self,
        name: &str,
        config: &Map<String, Value>,
    ) -> Result<StreamDetails, BusError> {
        either!(self, bus => bus.create_stream(name, config).await)
    }

    /// Gives a stream other settings: all of them, as [`Self::describe`] tells them.
    pub(crate) async fn update_stream(
        &self,
        name: &str,
        config: &Map<String, Value>,
    ) -> Result<StreamDetails, BusError> {
        either!(self, bus => bus.update_stream(name, config).await)
    }

    /// Removes a stream with all that it holds.
    pub(crate) async fn delete_stream(&self, name: &str) -> Result<(), BusError> {
        either!(self, bus => bus.delete_stream(name).await)
    }

    /// The last message on a subject or filter, from the stream's leader.
    pub(crate) async fn leader_last(
        &self,
        stream: &str,
        subject: &str,
    ) -> Result<Option<Stored>, BusError> {
        either!(self, bus => bus.leader_last(stream, subject).await)
    }

    /// The first event on a filter at or after a sequence, from the stream's leader.
    pub(crate) async fn leader_next(
        &self,
        stream: &str,
        filter: &str,
        from: u64,
    ) -> Result<Option<Stored>, BusError> {
        either!(self, bus => bus.leader_next(stream, filter, from).await)
    }

    /// A sequence on a subject at or before another one, as near as is known; 0: none.
    pub(crate) async fn last_until(
        &self,
        stream: &StreamName,
        subject: &Subject,
        until: u64,
    ) -> Result<u64, BusError> {
        let (stream, subject) = (stream.as_str(), subject.as_str());
        either!(self, bus => bus.last_until(stream, subject, until).await)
    }

    /// The last message of each subject that a filter covers, by sequence; at most
    /// [`crate::LAST_EACH_MAX`]. A follower may answer.
    pub(crate) async fn last_each(
        &self,
        stream: &str,
        filter: &str,
    ) -> Result<Vec<Stored>, BusError> {
        either!(self, bus => bus.last_each(stream, filter).await)
    }

    /// A run of events, and how many more match where it was read.
    pub(crate) async fn next_run(
        &self,
        stream: &str,
        filter: &str,
        from: u64,
        limit: usize,
        bytes_max: usize,
    ) -> Result<(Vec<Stored>, u64), BusError> {
        either!(self, bus => {
            let run = bus.next_run(stream, filter, from, limit, bytes_max).await?;
            Ok((run.events, run.pending))
        })
    }

    /// Stores a message on a raw subject with these headers, if the last sequence there
    /// is `expected`.
    pub(crate) async fn write(
        &self,
        subject: String,
        headers: &[(&'static str, &'static str)],
        value: Bytes,
        expected: Option<u64>,
    ) -> Result<u64, BusError> {
        either!(self, bus => bus.write(subject, headers, value, expected).await)
    }

    /// Stores an object; one that is there under this name is left as it is.
    pub(crate) async fn put_object(
        &self,
        store: &str,
        name: &str,
        bytes: &Bytes,
    ) -> Result<(), BusError> {
        either!(self, bus => bus.put_object(store, name, bytes).await)
    }

    /// Removes an object, if it is there.
    pub(crate) async fn remove_object(&self, store: &str, name: &str) -> Result<(), BusError> {
        either!(self, bus => bus.remove_object(store, name).await)
    }

    /// Reads an object of at most `max` bytes.
    pub(crate) async fn get_object(
        &self,
        store: &str,
        name: &str,
        max: usize,
    ) -> Result<Bytes, BusError> {
        either!(self, bus => bus.get_object(store, name, max).await)
    }
}

/// Messages of a core subscription; dropping it unsubscribes. Ends only when the
/// connection is closed.
#[derive(Debug)]
pub struct Subscription(pub(crate) Source);

/// Where they come from.
#[derive(Debug)]
pub(crate) enum Source {
    Nats(nats::Subscription),
    Model(model::Subscription),
}

impl Stream for Subscription {
    type Item = Incoming;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Incoming>> {
        match &mut self.0 {
            Source::Nats(messages) => messages.poll_next_unpin(cx),
            Source::Model(messages) => messages.poll_next_unpin(cx),
        }
    }
}

/// The acknowledgement of an event that has been handed to the connection. Must be
/// awaited or dropped: while it lives it counts against the connection's bound.
/// Dropping it does not take the event back.
pub struct PendingAck(Pending, Arc<Known>);

enum Pending {
    Nats(nats::PendingAck),
    Model(model::PendingAck),
}

impl Future for PendingAck {
    type Output = Result<PubAck, BusError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let polled = match &mut self.0 {
            Pending::Nats(ack) => Pin::new(ack).poll(cx),
            Pending::Model(ack) => Pin::new(ack).poll(cx),
        };
        if let Poll::Ready(Ok(ack)) = &polled {
            self.1.saw(&ack.stream, ack.seq);
        }
        polled
    }
}
