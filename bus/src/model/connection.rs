//! One process's connection to a model: the calls that the bus makes of a backend.
//!
//! Owns the bounds of the connection, as the one to NATS has them. Decides nothing:
//! every call is a request to the network and its answer.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use serde_json::{Map, Value};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::time::{Sleep, timeout};

use super::message::{MAX_PAYLOAD, Message};
use super::request::{Answer, Read, Reply, Request};
use super::shell::Shared;
use crate::details::StreamDetails;
use crate::error::{BusError, stream_name};
use crate::incoming::Incoming;
use crate::limits::{LAST_SEQS_MAX, NEXT_EVENTS_MAX, PUBLISH_TIMEOUT, REQUEST_TIMEOUT};
use protocol::bus::{Outgoing, PubAck, Stored, StreamState};
use protocol::stream::StreamName;
use protocol::subject::Subject;

/// Acknowledgements that a connection waits for at a time. Policy: the next publish
/// waits for one of them.
const PENDING_ACKS_MAX: usize = 16_384;
/// Batches that a connection has open at a time; a stream takes 50 of all.
const BATCHES_OPEN_MAX: usize = 16;

/// A connection; clones share it.
#[derive(Clone)]
pub(crate) struct Connection {
    pub(super) shared: Arc<Shared>,
    pub(super) link: usize,
    pub(super) batches: Arc<Semaphore>,
    pending: Arc<Semaphore>,
    connected: watch::Receiver<bool>,
    connects: watch::Receiver<u64>,
    /// Changes that readers see and processes do not.
    pub(super) changes: watch::Receiver<u64>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Bus(model, link {})", self.link)
    }
}

/// What a run of events brought.
pub(crate) struct Run {
    /// The events.
    pub(crate) events: Vec<Stored>,
    /// How many more match where they were read.
    pub(crate) pending: u64,
}

/// Waits for one answer; leaving frees its place.
pub(super) struct Waiting {
    shared: Arc<Shared>,
    ticket: u64,
    receiver: oneshot::Receiver<Answer>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let ticket = self.ticket;
        self.shared.act(|world, _| world.forget(ticket));
    }
}

impl Future for Waiting {
    type Output = Answer;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        let answer = Pin::new(&mut self.receiver).poll(cx);
        // The sender goes only with the whole model, when nobody can tell any more.
        answer.map(|answer| answer.unwrap_or(Err(BusError::Timeout)))
    }
}

impl Waiting {
    /// The answer, if it is there.
    pub(super) fn now(&mut self) -> Option<Answer> {
        self.receiver.try_recv().ok()
    }
}

impl Connection {
    /// A new process's connection.
    pub(super) fn open(shared: &Arc<Shared>, name: &str) -> Self {
        let (connected, connects, changes) =
            (watch::channel(true), watch::channel(1), watch::channel(0));
        let link = shared.act(|world, _| {
            world.signals.push(super::shell::Signals {
                connected: connected.0,
                connects: connects.0,
                changes: changes.0,
            });
            world.network.open(name)
        });
        Self {
            shared: shared.clone(),
            link,
            batches: Arc::new(Semaphore::new(BATCHES_OPEN_MAX)),
            pending: Arc::new(Semaphore::new(PENDING_ACKS_MAX)),
            connected: connected.1,
            connects: connects.1,
            changes: changes.1,
        }
    }

    pub(crate) fn connected(&self) -> watch::Receiver<bool> {
        self.connected.clone()
    }

    pub(crate) fn connects(&self) -> watch::Receiver<u64> {
        self.connects.clone()
    }

    /// Nothing waits in a model's connection longer than in the network.
    pub(crate) async fn drain(&self) {
        // An error means that nothing gets through any more.
        let _ = self.flush().await;
        let link = self.link;
        self.shared.act(|world, _| world.network.break_link(link));
    }

    pub(crate) fn max_payload(&self) -> usize {
        MAX_PAYLOAD
    }

    pub(crate) async fn subscribe(&self, subject: &Subject) -> Result<Subscription, BusError> {
        let (link, filter) = (self.link, subject.as_str().to_owned());
        let (id, messages) = self.shared.act(|world, now| {
            let (id, messages) = world.subscription();
            // Not connected, the client subscribes as soon as it is.
            if world.network.links[link].up {
                let request = Request::Subscribe { id, filter };
                let _ = world.network.send(now, link, None, request);
            } else {
                world.network.links[link].subscriptions.insert(id, filter);
            }
            (id, messages)
        });
        Ok(Subscription {
            connection: self.clone(),
            id,
            messages,
        })
    }

    pub(crate) async fn publish_core(&self, message: Outgoing) -> Result<(), BusError> {
        let (link, request) = (self.link, Request::Core(Message::new(message, 0)?));
        self.shared
            .act(|world, now| world.network.send(now, link, None, request))
    }

    pub(crate) async fn flush(&self) -> Result<(), BusError> {
        self.ask(Request::Flush).await.map(|_| ())
    }

    pub(crate) async fn publish_start(&self, message: Outgoing) -> Result<PendingAck, BusError> {
        let message = Message::new(message, 0)?;
        let permit = self.pending.clone().acquire_owned().await;
        let permit = permit.map_err(|_| BusError::Disconnected)?;
        let waiting = self.send(Request::Publish(message))?;
        Ok(PendingAck {
            waiting,
            deadline: Box::pin(tokio::time::sleep(PUBLISH_TIMEOUT)),
            _permit: permit,
        })
    }

    pub(crate) async fn write(
        &self,
        subject: String,
        headers: &[(&'static str, &'static str)],
        value: Bytes,
        expected: Option<u64>,
    ) -> Result<u64, BusError> {
        let message = Message::raw(subject, headers, value, expected);
        match self.ask(Request::Publish(message)).await? {
            Reply::Ack(ack) => Ok(ack.seq),
            _ => Err(unexpected()),
        }
    }

    fn send(&self, request: Request) -> Result<Waiting, BusError> {
        let link = self.link;
        let (ticket, receiver, sent) = self.shared.act(|world, now| {
            let (ticket, receiver) = world.ticket();
            let sent = world.network.send(now, link, Some(ticket), request);
            (ticket, receiver, sent)
        });
        let waiting = self.waiting(ticket, receiver);
        sent.map(|()| waiting)
    }

    pub(super) fn waiting(&self, ticket: u64, receiver: oneshot::Receiver<Answer>) -> Waiting {
        Waiting {
            shared: self.shared.clone(),
            ticket,
            receiver,
        }
    }

    pub(super) async fn ask(&self, request: Request) -> Answer {
        let answer = self.send(request)?;
        timeout(REQUEST_TIMEOUT, answer)
            .await
            .map_err(|_| BusError::Timeout)?
    }

    async fn lead(&self, stream: &str, read: Read) -> Answer {
        let stream = stream.into();
        self.ask(Request::Lead { stream, read }).await
    }

    async fn lead_event(&self, stream: &str, read: Read) -> Result<Option<Stored>, BusError> {
        match self.lead(stream, read).await? {
            Reply::Event(event) => Ok(event),
            _ => Err(unexpected()),
        }
    }

    pub(crate) async fn get(
        &self,
        stream: &StreamName,
        seq: u64,
    ) -> Result<Option<Stored>, BusError> {
        self.lead_event(stream.as_str(), Read::At(seq)).await
    }

    pub(crate) async fn leader_last(
        &self,
        stream: &str,
        subject: &str,
    ) -> Result<Option<Stored>, BusError> {
        self.lead_event(stream, Read::LastOn(subject.into())).await
    }

    pub(crate) async fn leader_next(
        &self,
        stream: &str,
        filter: &str,
        from: u64,
    ) -> Result<Option<Stored>, BusError> {
        let read = Read::NextOn(filter.into(), from.max(1));
        self.lead_event(stream, read).await
    }

    pub(crate) async fn first_since(
        &self,
        stream: &StreamName,
        filter: &Subject,
        since_us: u64,
    ) -> Result<Option<u64>, BusError> {
        let read = Read::FromTime(filter.as_str().into(), since_us);
        let event = self.lead_event(stream.as_str(), read).await?;
        Ok(event.map(|event| event.seq))
    }

    pub(crate) async fn describe(&self, stream: &str) -> Result<StreamDetails, BusError> {
        match self.lead(stream, Read::Details).await? {
            Reply::Details(details) => Ok(details),
            _ => Err(unexpected()),
        }
    }

    pub(crate) async fn stream_state(&self, stream: &StreamName) -> Result<StreamState, BusError> {
        Ok(self.describe(stream.as_str()).await?.state)
    }

    pub(crate) async fn create_stream(
        &self,
        name: &str,
        config: &Map<String, Value>,
    ) -> Result<StreamDetails, BusError> {
        let (name, config) = (name.into(), config.clone());
        match self.ask(Request::Create { name, config }).await? {
            Reply::Details(details) => Ok(details),
            _ => Err(unexpected()),
        }
    }

    pub(crate) async fn update_stream(
        &self,
        name: &str,
        config: &Map<String, Value>,
    ) -> Result<StreamDetails, BusError> {
        let (name, config) = (name.into(), config.clone());
        match self.ask(Request::Change { name, config }).await? {
            Reply::Details(details) => Ok(details),
            _ => Err(unexpected()),
        }
    }

    pub(crate) async fn delete_stream(&self, name: &str) -> Result<(), BusError> {
        let name = name.into();
        self.ask(Request::Delete { name }).await.map(drop)
    }

    pub(crate) async fn last_seqs(
        &self,
        stream: &StreamName,
        subjects: &[Subject],
    ) -> Result<Vec<(String, u64)>, BusError> {
        if subjects.len() > LAST_SEQS_MAX {
            return Err(BusError::Limit {
                field: "subjects",
                value: subjects.len(),
                max: LAST_SEQS_MAX,
            });
        }
        let subjects = subjects.iter().map(ToString::to_string).collect();
        match self
            .direct(stream.as_str(), Read::LastSeqs(subjects))
            .await?
        {
            Reply::Seqs(seqs) => Ok(seqs),
            _ => Err(unexpected()),
        }
    }

    pub(crate) async fn last_each(
        &self,
        stream: &str,
        filter: &str,
    ) -> Result<Vec<Stored>, BusError> {
        let read = Read::LastEach(filter.into());
        match self.direct(stream, read).await? {
            Reply::Run(messages, _) => Ok(messages),
            _ => Err(unexpected()),
        }
    }

    pub(crate) async fn last_until(
        &self,
        stream: &str,
        subject: &str,
        until: u64,
    ) -> Result<u64, BusError> {
        let read = Read::LastUntil(subject.into(), until);
        match self.direct(stream, read).await? {
            Reply::Seqs(seqs) => Ok(seqs.first().map_or(0, |(_, seq)| *seq)),
            _ => Err(unexpected()),
        }
    }

    async fn direct(&self, stream: &str, read: Read) -> Answer {
        let stream = stream.into();
        self.ask(Request::Direct { stream, read }).await
    }

    pub(crate) async fn next_run(
        &self,
        stream: &str,
        filter: &str,
        from: u64,
        limit: usize,
        bytes_max: usize,
    ) -> Result<Run, BusError> {
        if limit == 0 || limit > NEXT_EVENTS_MAX {
            return Err(BusError::Limit {
                field: "limit",
                value: limit,
                max: NEXT_EVENTS_MAX,
            });
        }
        let read = Read::Run {
            filter: filter.into(),
            from: from.max(1),
            limit,
            bytes_max: bytes_max.max(1),
        };
        match self.direct(stream, read).await? {
            Reply::Run(events, pending) => Ok(Run { events, pending }),
            _ => Err(unexpected()),
        }
    }

    pub(crate) async fn put_object(
        &self,
        store: &str,
        name: &str,
        bytes: &Bytes,
    ) -> Result<(), BusError> {
        let (store, name, bytes) = (store.into(), name.into(), bytes.clone());
        let put = self.ask(Request::PutObject { store, name, bytes });
        put.await.map(|_| ())
    }

    pub(crate) async fn remove_object(&self, store: &str, name: &str) -> Result<(), BusError> {
        let (store, name) = (store.into(), name.into());
        let removed = self.ask(Request::RemoveObject { store, name });
        removed.await.map(|_| ())
    }

    pub(crate) async fn get_object(
        &self,
        store: &str,
        name: &str,
        max: usize,
    ) -> Result<Bytes, BusError> {
        let (store, name) = (store.into(), name.into());
        match self.ask(Request::GetObject { store, name }).await? {
            Reply::Bytes(bytes) if bytes.len() > max => Err(BusError::Limit {
                field: "object bytes",
                value: bytes.len(),
                max,
            }),
            Reply::Bytes(bytes) => Ok(bytes),
            _ => Err(unexpected()),
        }
    }
}

/// An answer that does not belong to its question.
pub(super) fn unexpected() -> BusError {
    BusError::Malformed {
        what: "answer of the model",
    }
}

/// Messages of a core subscription.
#[derive(Debug)]
pub(crate) struct Subscription {
    connection: Connection,
    id: u64,
    messages: mpsc::Receiver<Incoming>,
}

impl Stream for Subscription {
    type Item = Incoming;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Incoming>> {
        self.messages.poll_recv(cx)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let (link, id) = (self.connection.link, self.id);
        self.connection.shared.act(|world, now| {
            world.unsubscribe(id);
            // Not connected, the client does not subscribe again.
            let request = Request::Unsubscribe { id };
            if world.network.send(now, link, None, request).is_err() {
                world.network.links[link].subscriptions.remove(&id);
            }
        });
    }
}

/// The acknowledgement of an event that has been sent.
pub(crate) struct PendingAck {
    waiting: Waiting,
    deadline: Pin<Box<Sleep>>,
    _permit: OwnedSemaphorePermit,
}

impl Future for PendingAck {
    type Output = Result<PubAck, BusError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(answer) = Pin::new(&mut self.waiting).poll(cx) {
            return Poll::Ready(answer.and_then(read));
        }
        self.deadline
            .as_mut()
            .poll(cx)
            .map(|()| Err(BusError::Timeout))
    }
}

fn read(reply: Reply) -> Result<PubAck, BusError> {
    let Reply::Ack(ack) = reply else {
        return Err(unexpected());
    };
    Ok(PubAck {
        stream: stream_name(&ack.stream)?,
        seq: ack.seq,
        duplicate: ack.duplicate,
    })
}
