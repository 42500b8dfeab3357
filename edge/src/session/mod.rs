//! One connection: one task, a closed set of events, a state machine that says what
//! to do.
//!
//! - `state`: the transitions
//! - `commands`: what a command must satisfy
//! - `socket`: reading frames and writing what the outbox holds
//! - this file: events in, steps done
//!
//! Owns the socket and the handles of the session's subscriptions. Everybody else
//! reaches it through its [`Port`].

mod commands;
mod socket;
mod state;

use std::sync::Arc;

use bytes::Bytes;
use protocol::close_code::CloseCode;
use protocol::error_code::ErrorCode;
use protocol::frame::{
    DecodeError, Encoding, GoingAway, Outcome, Push, Reply, decode_commands, encode,
};
use rand::Rng;
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::clock::now_us;
use crate::feed::{Subscriber, push};
use crate::metrics::{self, meters};
use crate::node::Node;
use crate::port::{Note, Port};
use crate::publisher::Writer;
use crate::registry::FeedGuard;
use crate::{replay, websocket};
use commands::Rules;
use socket::{Flow, Socket};
use state::{State, Step};
use websocket::Received;

/// Clients of a draining node are asked to come back within this, at random, so that
/// they do not come to the other nodes at once, milliseconds.
const RECONNECT_SPREAD_MS: u64 = 1_000;
/// Messages read in one go before what they caused is written.
const MESSAGES_PER_TURN: usize = 16;

/// What a session waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    /// The socket can be read.
    Readable,
    /// The socket can be written, or something was queued, or a note left.
    Woken,
    /// A deadline has come.
    Timer,
    /// The node drains.
    Drain,
}

/// How a session ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// We close it.
    Close(CloseCode),
    /// The client closed it.
    ByClient,
    /// The connection broke.
    Gone,
}

/// A subscription's way to its feed, and the task that brings it level.
struct Handle {
    id: u64,
    guard: Option<Arc<FeedGuard>>,
    task: AbortHandle,
}

struct Session {
    node: Arc<Node>,
    socket: Socket,
    port: Arc<Port>,
    encoding: Encoding,
    state: State,
    writer: Option<Arc<Writer>>,
    handles: Vec<Handle>,
    draining: bool,
}

/// Serves a connection that has just been upgraded, to its end. Without an encoding
/// it is closed at once.
pub async fn run(node: Arc<Node>, stream: TcpStream, first: Vec<u8>, encoding: Option<Encoding>) {
    meters().connections.increment(1.0);
    let port = Arc::new(Port::new(node.config.limits.outbox_bytes));
    let socket = Socket::new(
        stream,
        first,
        node.config.limits.message_bytes,
        port.clone(),
    );
    let state = State::new(
        format!("{}-{}", node.config.name, node.next_id()),
        &rules(&node),
    );
    let serves = encoding.is_some();
    let encoding = encoding.unwrap_or(Encoding::Json);
    let mut session = Session {
        node,
        socket,
        port,
        encoding,
        state,
        writer: None,
        handles: Vec::new(),
        draining: false,
    };
    let ending = if serves {
        session.serve().await
    } else {
        Ending::Close(CloseCode::UnknownProtocol)
    };
    session.end(ending).await;
    meters().connections.decrement(1.0);
}

fn rules(node: &Node) -> Rules<'_> {
    Rules {
        auth: &node.auth,
        directory: node.namespaces.snapshot(),
        limits: &node.config.limits,
        store: &node.config.store,
        now: Instant::now(),
        now_us: now_us(),
    }
}

impl Session {
    async fn serve(&mut self) -> Ending {
        loop {
            match self.socket.write_ready() {
                Flow::Gone => return Ending::Gone,
                Flow::Idle if self.state.is_drained() => return Ending::Close(CloseCode::Restart),
                Flow::Idle | Flow::Blocked | Flow::Busy => {}
            }
            let ending = match self.next_event().await {
                Event::Readable => self.read().await,
                Event::Woken => self.take_notes(),
                Event::Timer => self.tick(),
                Event::Drain => {
                    self.draining = true;
                    let steps = self.state.drain(Instant::now());
                    self.carry_out(steps)
                }
            };
            if let Some(ending) = ending {
                return ending;
            }
        }
    }

    /// Cancel safe in every branch: readiness, wake-ups and the trigger are kept.
    async fn next_event(&mut self) -> Event {
        let deadline = self
            .socket
            .stalls_at()
            .map_or(self.state.deadline(), |at| at.min(self.state.deadline()));
        tokio::select! {
            () = self.node.shutdown.triggered(), if !self.draining => Event::Drain,
            () = self.port.woken() => Event::Woken,
            () = tokio::time::sleep_until(deadline) => Event::Timer,
            readable = self.socket.ready() => if readable { Event::Readable } else { Event::Woken },
        }
    }

    fn tick(&mut self) -> Option<Ending> {
        if self
            .socket
            .stalls_at()
            .is_some_and(|at| Instant::now() >= at)
        {
            return Some(Ending::Close(CloseCode::SlowConsumer));
        }
        let steps = self.state.tick(&rules(&self.node));
        self.carry_out(steps)
    }

    async fn read(&mut self) -> Option<Ending> {
        for _ in 0..MESSAGES_PER_TURN {
            let received = self.socket.read(self.encoding);
            if received != Received::Nothing {
                self.state.heard(Instant::now());
            }
            let ending = match received {
                Received::Message(message) => self.message(&message).await,
                Received::WrongKind => {
                    let error = DecodeError::Malformed(
                        "JSON goes in text messages, MessagePack in binary ones".into(),
                    );
                    let steps = self.state.unreadable(&rules(&self.node), &error);
                    self.carry_out(steps)
                }
                Received::Alive => None,
                Received::Nothing => return None,
                Received::Close => Some(Ending::ByClient),
                Received::Gone => Some(Ending::Gone),
                Received::Broken(code) => Some(Ending::Close(code)),
            };
            if ending.is_some() {
                return ending;
            }
            if self.port.is_over() {
                break;
            }
        }
        self.socket.read_on();
        None
    }

    async fn message(&mut self, message: &[u8]) -> Option<Ending> {
        let (commands, error) = decode_commands(self.encoding, message);
        for command in commands {
            let steps = self
                .state
                .command(&rules(&self.node), command, self.node.next_id());
            if let Some(ending) = self.carry_out(steps) {
                return Some(ending);
            }
            // Other sessions get their turn between two long messages.
            tokio::task::coop::consume_budget().await;
        }
        let steps = error.map(|error| self.state.unreadable(&rules(&self.node), &error));
        self.carry_out(steps.unwrap_or_default())
    }

    fn take_notes(&mut self) -> Option<Ending> {
        for note in self.port.take_notes() {
            let steps = match note {
                Note::Published { command, outcome } => {
                    vec![self.state.published(command, outcome)]
                }
                Note::Attached { id, guard } => {
                    self.state.attached(id);
                    self.handle(id, |handle| handle.guard = Some(guard));
                    Vec::new()
                }
                Note::Refused {
                    id,
                    command,
                    channel,
                    error,
                } => self.state.refused(id, command, &channel, error),
                Note::Lagging { id, at } => {
                    self.read_again(id, at);
                    Vec::new()
                }
                Note::EpochChanged => vec![Step::Close(CloseCode::EpochChanged)],
            };
            if let Some(ending) = self.carry_out(steps) {
                return Some(ending);
            }
        }
        None
    }

    fn handle(&mut self, id: u64, change: impl FnOnce(&mut Handle)) {
        if let Some(handle) = self.handles.iter_mut().find(|handle| handle.id == id) {
            change(handle);
        }
    }

    fn subscriber(&self, id: u64) -> Subscriber {
        Subscriber {
            id,
            port: self.port.clone(),
            encoding: self.encoding,
        }
    }

    fn read_again(&mut self, id: u64, at: u64) {
        let (node, subscriber) = (self.node.clone(), self.subscriber(id));
        self.handle(id, |handle| {
            if let Some(guard) = handle.guard.clone() {
                let tasks = node.tasks.clone();
                handle.task = tasks
                    .spawn(replay::again(node, guard, subscriber, at))
                    .abort_handle();
            }
        });
    }

    fn carry_out(&mut self, steps: Vec<Step>) -> Option<Ending> {
        for step in steps {
            match step {
                Step::Reply(id, outcome) => self.reply(id, outcome),
                Step::Connected => {
                    self.writer = Some(self.node.publisher.writer(self.port.clone()))
                }
                Step::Attach(request) => {
                    let (id, subscriber) = (request.id, self.subscriber(request.id));
                    let task = self.node.tasks.spawn(replay::attach(
                        self.node.clone(),
                        subscriber,
                        *request,
                    ));
                    self.handles.push(Handle {
                        id,
                        guard: None,
                        task: task.abort_handle(),
                    });
                }
                Step::Detach(id) => {
                    self.port.shut(id);
                    self.handles
                        .retain(|handle| handle.id != id || end_handle(handle));
                }
                Step::Publish(draft) => {
                    if let Some(writer) = &self.writer {
                        self.node.publisher.submit(writer, *draft);
                    }
                }
                Step::Held(channel, n) => {
                    if let Some(writer) = &self.writer {
                        writer.order.lock().refuse(&channel, n);
                    }
                }
                Step::Ping => self.port.send(Bytes::from_static(websocket::PING)),
                Step::GoingAway => {
                    let reconnect_after_ms = rand::rng().random_range(0..RECONNECT_SPREAD_MS);
                    self.port.send(push(
                        self.encoding,
                        &Push::GoingAway(GoingAway { reconnect_after_ms }),
                    ));
                }
                Step::Close(code) => return Some(Ending::Close(code)),
            }
        }
        None
    }

    fn reply(&mut self, id: u64, outcome: Outcome) {
        if let Outcome::Error(error) = &outcome {
            metrics::refused(error.code);
            if error.code == ErrorCode::BadFrame {
                tracing::debug!(message = error.message, "unreadable frame");
            }
        }
        self.port.send(websocket::message(
            self.encoding,
            &encode(self.encoding, &Reply { id, outcome }),
        ));
    }

    async fn end(&mut self, ending: Ending) {
        self.handles.retain(end_handle);
        self.port.close();
        match ending {
            Ending::Close(code) => {
                metrics::closed(code);
                if code == CloseCode::SlowConsumer {
                    self.port.discard();
                }
                self.port.send(websocket::close(code));
                // Boxed: its buffer would otherwise be a part of every idle session.
                Box::pin(self.socket.close()).await;
            }
            Ending::ByClient => {
                metrics::ended("by_client");
                Box::pin(self.socket.close()).await;
            }
            Ending::Gone => metrics::ended("connection_lost"),
        }
    }
}

/// Stops the task of a subscription; false, so that lists let go of it.
fn end_handle(handle: &Handle) -> bool {
    handle.task.abort();
    false
}
