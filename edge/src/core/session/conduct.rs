//! Does what a session's transitions say: stores events, makes subscriptions, queues
//! replies.
//!
//! Owns the state machine and the handles of the session's subscriptions. What goes to
//! the client waits in the port; a transport takes it from there, brings what the
//! client sends, and is told of everything that only it can do as a [`Signal`].
//! Everybody else reaches the session through its [`Port`].

use std::sync::Arc;

use protocol::close_code::CloseCode;
use protocol::error_code::ErrorCode;
use protocol::frame::{
    Action, Command, Encoding, ErrorBody, GoingAway, Grant, Granted, Outcome, Push, Reply, Start,
    Subscribe, Ticket, Unreadable, Withdrawn, decode_commands, encode,
};
use protocol::name::Channel;
use protocol::position::Position;
use rand::Rng;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::state::{State, Step};
use super::{credit, ticket};
use crate::core::ephemeral;
use crate::core::feed::relay::{FeedKey, Subscriber};
use crate::core::history::Asked;
use crate::core::hub::Hub;
use crate::core::metrics;
use crate::core::port::{Note, Port};
use crate::core::presence::look::AskedPresence;
use crate::core::presence::seat::Seat;
use crate::core::publisher::{Answer, Writer};
use crate::core::registry::FeedGuard;
use crate::core::replay;
use crate::core::request::Request;
use crate::core::sessions::{Known, Listed};
use crate::core::wants::Wants;

/// Clients of a draining node are asked to come back within this, at random, so that
/// they do not come to the other nodes at once, milliseconds.
const RECONNECT_SPREAD_MS: u64 = 1_000;

/// What only the transport can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Ask the client whether it is there.
    Ping,
    /// End the session, after what is queued.
    Close(CloseCode),
}

/// A subscription's way to its feed, and the task that brings it level.
struct Handle {
    id: u64,
    guard: Arc<FeedGuard>,
    wants: Wants,
    /// Where the channel tells who is on it.
    seat: Option<Arc<Seat>>,
    task: AbortHandle,
}

/// One session.
pub struct Session {
    hub: Arc<Hub>,
    port: Arc<Port>,
    encoding: Encoding,
    state: State,
    writer: Option<Arc<Writer>>,
    listed: Option<Listed>,
    handles: Vec<Handle>,
    /// Its seats as a writer, in the namespaces that are told of those.
    told: Vec<(String, Arc<Seat>)>,
}

impl Session {
    /// A session whose client has just come; what it is sent waits in `port`.
    pub fn new(hub: Arc<Hub>, port: Arc<Port>, encoding: Encoding) -> Self {
        let state = State::new(hub.session_name(), &hub.rules());
        Self {
            hub,
            port,
            encoding,
            state,
            writer: None,
            listed: None,
            handles: Vec::new(),
            told: Vec::new(),
        }
    }

    /// When [`Self::tick`] is due.
    pub fn deadline(&self) -> Instant {
        self.state.deadline()
    }

    /// Whether a draining session has nothing left to answer.
    pub fn is_drained(&self) -> bool {
        self.state.is_drained()
    }

    /// Shows the session to nobody as a member of its channels: it is there for one answer.
    pub fn hide(&mut self) {
        self.state.hide();
    }

    /// Something came from the client, last at this time. Any byte counts. Told before
    /// [`Self::tick`], at the latest.
    pub fn heard(&mut self, at: Instant) {
        self.state.heard(at);
    }

    /// Time has passed.
    pub fn tick(&mut self) -> Option<Signal> {
        let steps = self.state.tick(&self.hub.rules());
        self.carry_out(steps)
    }

    /// The node drains: the session is served until it is its turn to leave.
    pub fn drain(&mut self) -> Option<Signal> {
        let now = Instant::now();
        let steps = self.state.drain(now, self.hub.departures.next(now));
        self.carry_out(steps)
    }

    /// A message of one or several frames came. They are taken in one go, so that the
    /// events among them are handed over as one run. Not cancel safe: the turn that is
    /// given to others afterwards would be left out.
    pub async fn message(&mut self, message: &[u8]) -> Option<Signal> {
        let commands = decode_commands(self.encoding, message);
        let count = commands.len();
        for command in commands {
            let signal = match command {
                Ok(command) => {
                    let (rules, id) = (self.hub.rules(), self.hub.next_id());
                    let steps = self.state.command(&rules, command, id);
                    self.carry_out(steps)
                }
                Err(unreadable) => self.unreadable(&unreadable),
            };
            if signal.is_some() {
                return signal;
            }
        }
        for _ in 0..count {
            // Other sessions get their turn between two long messages.
            tokio::task::coop::consume_budget().await;
        }
        None
    }

    /// Something came that cannot be read as a command.
    pub fn unreadable(&mut self, unreadable: &Unreadable) -> Option<Signal> {
        let steps = self.state.unreadable(&self.hub.rules(), unreadable);
        self.carry_out(steps)
    }

    /// Does what the notes in the port ask for.
    pub fn take_notes(&mut self) -> Option<Signal> {
        for note in self.port.take_notes() {
            let steps = match note {
                Note::Published { command, outcome } => {
                    vec![self.state.published(command, outcome)]
                }
                Note::Read { command, outcome } => vec![self.state.read(command, outcome)],
                Note::PassedOn { command, outcome } => {
                    vec![self.state.passed_on(command, outcome)]
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
                Note::Revocations => self.state.recheck(&self.hub.rules()),
                Note::Looked { command, outcome } => vec![self.state.looked(command, outcome)],
                Note::Seats => {
                    self.reseat();
                    Vec::new()
                }
                Note::Disconnected => vec![Step::Close(CloseCode::Disconnected)],
                Note::EpochChanged => vec![Step::Close(CloseCode::EpochChanged)],
            };
            let signal = self.carry_out(steps);
            if signal.is_some() {
                return signal;
            }
        }
        None
    }

    /// Ends the session: its subscriptions end and its port takes no more events.
    pub fn end(&mut self) {
        self.handles.retain(end_handle);
        self.listed = None;
        self.told.clear();
        self.port.close();
    }

    fn subscriber(&self, id: u64, wants: Wants) -> Subscriber {
        Subscriber {
            id,
            port: self.port.clone(),
            encoding: self.encoding,
            wants,
        }
    }

    fn attach(&mut self, mut request: Request) {
        let key = FeedKey {
            tenant: request.tenant.clone(),
            channel: request.channel.clone(),
        };
        let (id, wants) = (request.id, request.wants.clone());
        let subscriber = self.subscriber(id, wants.clone());
        let seat = match self.seat(&key, &subscriber, &mut request) {
            Ok(seat) => seat,
            Err(note) => return self.port.note(note),
        };
        let guard = Arc::new(self.hub.feeds.acquire(key, &request.place, id));
        let attach = replay::attach(
            self.hub.replays.clone(),
            (guard.clone(), seat.clone()),
            subscriber,
            request,
        );
        let task = self.hub.tasks.spawn(attach).abort_handle();
        self.handles.push(Handle {
            id,
            guard,
            wants,
            seat,
            task,
        });
    }

    /// Ends a subscription; true if its command has not been answered.
    fn detach(&mut self, id: u64) -> bool {
        let unanswered = self.port.shut(id);
        self.handles
            .retain(|handle| handle.id != id || end_handle(handle));
        unanswered
    }

    /// Ends a subscription that its client did not leave, and tells it.
    fn withdraw(&mut self, id: u64, command: u64, channel: &Channel) {
        let code = ErrorCode::Forbidden;
        metrics::withdrawn(code);
        if self.detach(id) {
            let message = format!("the token does not allow to subscribe to {channel} any more");
            let error = ErrorBody::new(code, message);
            return self.reply(command, Outcome::Error(error));
        }
        let channel = channel.as_str().into();
        let told = Push::Unsubscribed(Withdrawn { channel, code });
        self.port.send(encode(self.encoding, &told));
    }

    fn read_again(&mut self, id: u64, at: u64) {
        let Some(place) = self.handles.iter().position(|handle| handle.id == id) else {
            return;
        };
        let subscriber = self.subscriber(id, self.handles[place].wants.clone());
        let (hub, handle) = (self.hub.clone(), &mut self.handles[place]);
        let again = replay::again(hub.replays.clone(), handle.guard.clone(), subscriber, at);
        handle.task = hub.tasks.spawn(again).abort_handle();
    }

    /// Takes up what a ticket says, as if it had been asked for by commands of its own.
    fn resume(&mut self, command: u64, subscriptions: Vec<Subscribe>) -> Option<Signal> {
        for (id, subscribe) in (command.saturating_add(1)..).zip(subscriptions) {
            let (rules, number) = (self.hub.rules(), self.hub.next_id());
            let subscribe = Command::new(id, Action::Subscribe(subscribe));
            let steps = self.state.command(&rules, subscribe, number);
            let signal = self.carry_out(steps);
            if signal.is_some() {
                return signal;
            }
        }
        None
    }

    /// A ticket of what stands: behind everything that it says has been sent.
    fn ticket(&mut self, command: u64) {
        let Some((who, asked)) = self.state.ticket() else {
            return;
        };
        let standing = asked.into_iter().filter_map(|(id, asked)| {
            let handle = self.handles.iter().find(|handle| handle.id == id)?;
            let (seq, credit) = self.port.progress(id)?;
            let epoch = handle.guard.feed.epoch.clone();
            let from = Start::After(Position {
                epoch,
                seq,
                time: None,
            });
            Some(Subscribe {
                from: Some(from),
                credit,
                ..asked
            })
        });
        let standing: Vec<Subscribe> = standing.collect();
        let channels = standing.iter().map(|one| one.channel.clone()).collect();
        let expires_at = who.ends_us();
        let sealed = (self.hub.rules().auth).seal(&who.identity, &who.client, standing);
        let outcome = match sealed {
            Ok(ticket) => Outcome::Ticket(Box::new(Ticket {
                ticket,
                channels,
                expires_at,
            })),
            Err(fault) => Outcome::Error(ticket::refused(fault)),
        };
        self.reply(command, outcome);
    }

    fn grant(&mut self, command: u64, id: u64, grant: Grant) {
        let outcome = match self.port.grant(id, grant.events) {
            Ok(left) => Outcome::Credit(Granted {
                channel: grant.channel,
                left,
            }),
            Err(refused) => Outcome::Error(credit::refused(&grant, refused)),
        };
        self.reply(command, outcome);
    }

    fn look(&self, command: u64, asked: AskedPresence) {
        let (hub, port) = (self.hub.clone(), self.port.clone());
        self.hub.tasks.spawn(async move {
            let outcome = hub.presence.look(&asked).await;
            port.note(Note::Looked { command, outcome });
        });
    }

    fn read(&self, command: u64, asked: Asked) {
        let (hub, port, encoding) = (self.hub.clone(), self.port.clone(), self.encoding);
        self.hub.tasks.spawn(async move {
            let outcome = hub.histories.read(&asked, encoding).await.map(Box::new);
            port.note(Note::Read { command, outcome });
        });
    }

    fn carry_out(&mut self, steps: Vec<Step>) -> Option<Signal> {
        for step in steps {
            match step {
                Step::Reply(id, outcome) => self.reply(id, outcome),
                Step::Connected => self.connected(),
                Step::Attach(request) => self.attach(*request),
                Step::Detach(id) => {
                    self.detach(id);
                }
                Step::Leave { id, command } => {
                    if self.detach(id) {
                        let message = "the channel was unsubscribed before it was subscribed";
                        let error = ErrorBody::new(ErrorCode::Cancelled, message);
                        self.reply(command, Outcome::Error(error));
                    }
                }
                Step::Publish(command, draft) => {
                    if let Some(writer) = &self.writer {
                        let answer = Answer::session(self.port.clone(), command);
                        self.hub.publisher.submit(writer, *draft, answer);
                    }
                }
                Step::Read(command, asked) => self.read(command, *asked),
                Step::Resume(command, subscriptions) => {
                    let signal = self.resume(command, subscriptions);
                    if signal.is_some() {
                        return signal;
                    }
                }
                Step::Ticket(command) => self.ticket(command),
                Step::Grant(command, id, grant) => self.grant(command, id, grant),
                Step::Look(command, asked) => self.look(command, *asked),
                Step::PassOn(command, draft) => {
                    let answer = ephemeral::answer::Answer::session(self.port.clone(), command);
                    self.hub.passing.submit(*draft, answer);
                }
                Step::Held(channel, n) => {
                    if let Some(writer) = &self.writer {
                        writer.refuse(&channel, n);
                    }
                }
                Step::Withdraw {
                    id,
                    command,
                    channel,
                } => self.withdraw(id, command, &channel),
                Step::Push(push) => self.port.send(encode(self.encoding, push.as_ref())),
                Step::GoingAway => {
                    let reconnect_after_ms = rand::rng().random_range(0..RECONNECT_SPREAD_MS);
                    let going_away = Push::GoingAway(GoingAway { reconnect_after_ms });
                    self.port.send(encode(self.encoding, &going_away));
                }
                Step::Ping => return Some(Signal::Ping),
                Step::Close(code) => return Some(Signal::Close(code)),
            }
        }
        None
    }

    fn connected(&mut self) {
        self.writer = Some(self.hub.publisher.writer());
        if let Some(who) = self.state.identity() {
            let (id, port) = (self.hub.next_id(), self.port.clone());
            let known = Known {
                port,
                user: who.user.clone(),
                name: self.state.name(),
            };
            self.listed = Some(self.hub.sessions.list(who.tenant.clone(), id, known));
            // What was revoked between its check and this it was not told.
            self.port.recheck();
        }
        self.tell_of_writer();
    }

    fn reply(&mut self, id: u64, outcome: Outcome) {
        if let Outcome::Error(error) = &outcome {
            metrics::refused(error.code);
            if error.code == ErrorCode::BadFrame {
                tracing::debug!(message = error.message, "unreadable frame");
            }
        }
        self.port
            .send(encode(self.encoding, &Reply { id, outcome }));
    }
}

mod seats;

/// Stops the task of a subscription; false, so that lists let go of it.
fn end_handle(handle: &Handle) -> bool {
    handle.task.abort();
    false
}
