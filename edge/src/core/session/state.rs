//! One session's transitions: what came in, what is to be done. Never waits, knows
//! neither sockets nor NATS.
//!
//! New -> Connected -> Draining; a close can follow from each of them. Owns the
//! session's account: window, subscriptions, unreadable frames, times.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use auth::Identity;
use protocol::class::Class;
use protocol::close_code::CloseCode;
use protocol::error_code::ErrorCode;
use protocol::frame::{
    Action, Command, Connected, ErrorBody, Grant, Limits, Outcome, PassedOn, Pong, Publish,
    Published, Push, Subscribe, Unreadable,
};
use protocol::name::Channel;
use tokio::time::Instant;

use super::commands::{self, Refusal, Rules, Who};
use super::{ephemeral, ticket};
use crate::core::admission::allowance::Allowance;
use crate::core::draft::Draft;
use crate::core::ephemeral::draft::EphemeralDraft;
use crate::core::history::Asked;
use crate::core::presence::look::AskedPresence;
use crate::core::request::Request;

/// How long a session may take to answer its publishes and empty its outbox once the
/// node drains.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Pages of history, and looks at who is there, that a session may wait for: one that shows what the other brought
/// is ahead of any reader.
pub const READS_MAX: u32 = 4;

/// What is to be done.
#[derive(Debug, PartialEq)]
pub enum Step {
    /// Answer a command.
    Reply(u64, Outcome),
    /// The session is authenticated: it may write from now on.
    Connected,
    /// Make a subscription; it answers by itself.
    Attach(Box<Request>),
    /// End a subscription.
    Detach(u64),
    /// Tell the client something that it has not asked for.
    Push(Box<Push>),
    /// End a subscription that its client leaves. Its own command is answered with
    /// `cancelled` if that has had no answer yet.
    Leave {
        /// The subscription.
        id: u64,
        /// The command that asked for it.
        command: u64,
    },
    /// End a subscription that its token does not allow any more, likewise: the client is
    /// told in a push, or in the answer to the command.
    Withdraw {
        /// The subscription.
        id: u64,
        /// The command that asked for it.
        command: u64,
        /// The channel.
        channel: Channel,
    },
    /// Store an event; the command is answered through [`State::published`].
    Publish(u64, Box<Draft>),
    /// Read a page of history; the command is answered through [`State::read`].
    Read(u64, Box<Asked>),
    /// Look who is on a channel; the command is answered through [`State::looked`].
    Look(u64, Box<AskedPresence>),
    /// Take up these subscriptions, as commands with the ids that follow this one.
    Resume(u64, Vec<Subscribe>),
    /// Answer a command with a ticket of what stands.
    Ticket(u64),
    /// Let a subscription, by its number, be sent more events, and answer the command.
    Grant(u64, u64, Grant),
    /// Pass an ephemeral event on; the command is answered through [`State::passed_on`].
    PassOn(u64, Box<EphemeralDraft>),
    /// An event was refused before it reached the store, for now.
    Held(Channel, u64),
    /// Send a WebSocket ping.
    Ping,
    /// Tell the client that the node goes away.
    GoingAway,
    /// Close the session.
    Close(CloseCode),
}

enum Phase {
    New,
    Connected(Box<Member>),
    Draining { until: Instant },
}

/// A session that is connected.
struct Member {
    who: Who,
    /// What it may still do.
    allowance: Allowance,
}

/// One session.
pub struct State {
    name: Arc<str>,
    phase: Phase,
    /// The subscription of each channel, and the command that asked for it: the port
    /// knows whether it stands yet.
    subscriptions: HashMap<Channel, (u64, u64)>,
    /// What was asked of those that want more than their events.
    wishes: HashMap<Channel, Box<Subscribe>>,
    /// When it began, microseconds since 1970.
    began_us: u64,
    in_flight: u32,
    /// Pages that are being read, and looks that are under way.
    reads: u32,
    /// It is a member of no channel.
    hidden: bool,
    bad_frames: u32,
    heard: Instant,
    ping_at: Instant,
    /// Until when it must have connected; then, when the token ends.
    ends_at: Option<Instant>,
    /// The client has been told that its token has ended.
    told_expiry: bool,
    /// When the grace after that is over.
    closes_at: Option<Instant>,
    /// When it leaves a draining node.
    leaves_at: Option<Instant>,
}

/// The result of a command: its outcome now, or steps that bring it later.
type Taken = Result<Vec<Step>, ErrorBody>;

fn refuse(code: ErrorCode, message: impl Into<String>) -> Taken {
    Err(ErrorBody::new(code, message))
}

/// A writer as headers name it.
fn writer(who: &Who) -> Arc<str> {
    who.publisher().to_string().into()
}

impl State {
    /// A session that has just been accepted.
    pub fn new(name: String, rules: &Rules<'_>) -> Self {
        Self {
            name: name.into(),
            phase: Phase::New,
            subscriptions: HashMap::new(),
            wishes: HashMap::new(),
            began_us: rules.now_us,
            in_flight: 0,
            reads: 0,
            hidden: false,
            bad_frames: 0,
            heard: rules.now,
            ping_at: rules.now + rules.limits.ping_interval(),
            ends_at: Some(rules.now + rules.limits.handshake_timeout()),
            told_expiry: false,
            closes_at: None,
            leaves_at: None,
        }
    }

    /// Anything came from the client, last at this time.
    pub fn heard(&mut self, at: Instant) {
        self.heard = self.heard.max(at);
    }

    /// A command came. `next_id` numbers a new subscription.
    pub fn command(&mut self, rules: &Rules<'_>, command: Command, next_id: u64) -> Vec<Step> {
        let id = command.id;
        let Some((id, action)) = command.into_action() else {
            let message = "a command has exactly one action beside its id";
            return self.bad_frame(rules, id, message.into());
        };
        if let Err(error) = self.allow(rules, &action) {
            return vec![Step::Reply(id, Outcome::Error(error))];
        }
        let taken = match (&self.phase, action) {
            (Phase::New, Action::Connect(connect)) => return self.connect(rules, id, &connect),
            (Phase::New, _) => {
                let error = ErrorBody::new(ErrorCode::NotConnected, "connect must come first");
                return vec![
                    Step::Reply(id, Outcome::Error(error)),
                    Step::Close(CloseCode::Unauthorized),
                ];
            }
            (_, Action::Connect(_)) => {
                refuse(ErrorCode::AlreadyConnected, "the session is connected")
            }
            (_, Action::Ping(_)) => Ok(vec![Step::Reply(
                id,
                Outcome::Ping(Pong { time: rules.now_us }),
            )]),
            (_, Action::Unsubscribe(body)) => self.unsubscribe(id, &body.channel),
            (Phase::Connected(_), Action::Refresh(body)) => self.refresh(rules, id, &body),
            (Phase::Draining { .. }, _) => refuse(ErrorCode::Unavailable, "the node is draining"),
            (Phase::Connected(_), Action::Subscribe(body)) => {
                self.subscribe(rules, id, body, next_id)
            }
            (Phase::Connected(_), Action::History(body)) => self.history(rules, id, body),
            (Phase::Connected(_), Action::Presence(body)) => self.look(rules, id, &body),
            (Phase::Connected(_), Action::Ticket(_)) => {
                self.check_expiry(rules).map(|()| vec![Step::Ticket(id)])
            }
            (Phase::Connected(_), Action::Credit(body)) => self.grant(rules, id, body),
            (Phase::Connected(_), Action::Publish(body)) if body.class == Class::Ephemeral => {
                self.pass_on(rules, id, body)
            }
            (Phase::Connected(_), Action::Publish(body)) => return self.publish(rules, id, body),
        };
        taken.unwrap_or_else(|error| vec![Step::Reply(id, Outcome::Error(error))])
    }

    /// Whether the session may do one thing more now. Events are looked at once it is known
    /// what they are.
    fn allow(&self, rules: &Rules<'_>, action: &Action) -> Result<(), ErrorBody> {
        match (&self.phase, action) {
            (Phase::New | Phase::Draining { .. }, _) | (_, Action::Publish(_)) => Ok(()),
            (Phase::Connected(member), Action::Subscribe(_)) => {
                member.allowance.subscribe(rules.now)
            }
            (Phase::Connected(member), _) => member.allowance.operation(rules.now),
        }
    }

    fn connect(
        &mut self,
        rules: &Rules<'_>,
        id: u64,
        connect: &protocol::frame::Connect,
    ) -> Vec<Step> {
        let who = match &connect.resume {
            Some(resume) => ticket::open(rules, connect, resume),
            None => commands::connect(rules, connect).map(|who| (who, Vec::new())),
        };
        let member = who.and_then(|(who, subscriptions)| {
            let (accounts, limits) = (rules.accounts, rules.limits);
            let allowance = Allowance::session(accounts, &who.identity, limits, rules.now)?;
            Ok((Member { who, allowance }, subscriptions))
        });
        let (member, subscriptions) = match member {
            Ok(member) => member,
            Err(error) => {
                let close = match error.code {
                    // It may be tried again on this session, as long as a handshake takes.
                    ErrorCode::Unavailable | ErrorCode::BadTicket => None,
                    ErrorCode::TokenExpired => Some(CloseCode::TokenExpired),
                    ErrorCode::TooManyConnections => Some(CloseCode::TooManyConnections),
                    ErrorCode::TokenRevoked => Some(CloseCode::Revoked),
                    _ => Some(CloseCode::Unauthorized),
                };
                let reply = Step::Reply(id, Outcome::Error(error));
                return [reply].into_iter().chain(close.map(Step::Close)).collect();
            }
        };
        let who = &member.who;
        self.ends_at = who.ends_at(rules);
        let limits = rules.limits;
        let connected = Connected {
            session: self.name.as_ref().into(),
            tenant: who.identity.tenant.as_str().into(),
            user: who.identity.user.as_str().into(),
            outcome_prefix: Channel::outcome_prefix(&who.identity.user, &who.client),
            time: rules.now_us,
            expires_at: who.ends_us(),
            ping_interval_ms: limits.ping_interval_ms,
            publish_window: limits.publish_window,
            limits: Limits {
                message_bytes: limits.message_bytes,
                data_bytes: limits.data_bytes,
                subscriptions: limits.subscriptions,
                outbox_bytes: limits.outbox_bytes,
                operations_per_second: limits.connection.operations_per_second,
                bytes_per_second: limits.connection.bytes_per_second,
                subscribes_per_second: limits.subscribes_per_second,
            },
            resumed: subscriptions
                .iter()
                .map(|one| one.channel.clone())
                .collect(),
        };
        self.phase = Phase::Connected(Box::new(member));
        let mut steps = vec![
            Step::Connected,
            Step::Reply(id, Outcome::Connect(Box::new(connected))),
        ];
        if !subscriptions.is_empty() {
            steps.push(Step::Resume(id, subscriptions));
        }
        steps
    }

    /// Who a session is that is connected, and what it may do.
    pub fn identity(&self) -> Option<&Identity> {
        let member = self.member().ok();
        member.map(|member| &member.who.identity)
    }

    /// The session's name, as its client was told it.
    pub fn name(&self) -> Arc<str> {
        self.name.clone()
    }

    fn member(&self) -> Result<&Member, ErrorBody> {
        match &self.phase {
            Phase::Connected(member) => Ok(member),
            Phase::New | Phase::Draining { .. } => Err(ErrorBody::new(
                ErrorCode::NotConnected,
                "the session is not connected",
            )),
        }
    }

    fn publish(&mut self, rules: &Rules<'_>, command: u64, body: Publish) -> Vec<Step> {
        let member = self.check_expiry(rules).and_then(|()| self.member());
        let member = member.map_err(Refusal::from);
        let draft = match member.and_then(|member| drafted(rules, member, body)) {
            Ok(draft) => draft,
            Err(Refusal { error, held }) => {
                let held = held.map(|(channel, n)| Step::Held(channel, n));
                let reply = Step::Reply(command, Outcome::Error(error));
                return held.into_iter().chain([reply]).collect();
            }
        };
        if let Err(error) = self.window(rules) {
            return vec![
                Step::Held(draft.channel, draft.n),
                Step::Reply(command, Outcome::Error(error)),
            ];
        }
        self.in_flight += 1;
        vec![Step::Publish(command, Box::new(draft))]
    }

    fn window(&self, rules: &Rules<'_>) -> Result<(), ErrorBody> {
        let max = rules.limits.publish_window;
        if self.in_flight < max {
            return Ok(());
        }
        let message = format!("{max} publishes wait for their ack already");
        Err(ErrorBody::new(ErrorCode::WindowExceeded, message))
    }

    fn pass_on(&mut self, rules: &Rules<'_>, command: u64, body: Publish) -> Taken {
        self.check_expiry(rules)?;
        let member = self.member()?;
        let draft = ephemeral::pass_on(rules, &member.who, body)?;
        member.allowance.publish(draft.bytes(), rules.now)?;
        self.window(rules)?;
        self.in_flight += 1;
        Ok(vec![Step::PassOn(command, Box::new(draft))])
    }

    /// An ephemeral event was passed on, or refused.
    pub fn passed_on(&mut self, command: u64, outcome: Result<PassedOn, ErrorBody>) -> Step {
        self.in_flight = self.in_flight.saturating_sub(1);
        Step::Reply(
            command,
            outcome.map_or_else(Outcome::Error, Outcome::PassedOn),
        )
    }

    /// A publish was answered by the store, or by what stands before it.
    pub fn published(&mut self, command: u64, outcome: Result<Published, ErrorBody>) -> Step {
        self.in_flight = self.in_flight.saturating_sub(1);
        Step::Reply(
            command,
            outcome.map_or_else(Outcome::Error, Outcome::Publish),
        )
    }

    /// Something unreadable came.
    pub fn unreadable(&mut self, rules: &Rules<'_>, unreadable: &Unreadable) -> Vec<Step> {
        self.bad_frame(rules, unreadable.id, unreadable.error.to_string())
    }

    fn bad_frame(&mut self, rules: &Rules<'_>, id: u64, message: String) -> Vec<Step> {
        self.bad_frames += 1;
        let mut steps = vec![Step::Reply(
            id,
            Outcome::Error(ErrorBody::new(ErrorCode::BadFrame, message)),
        )];
        if self.bad_frames > rules.limits.bad_frames_max {
            steps.push(Step::Close(CloseCode::BadFrames));
        }
        steps
    }

    /// When [`Self::tick`] is due.
    pub fn deadline(&self) -> Instant {
        let end = match self.told_expiry {
            false => self.ends_at,
            true => self.closes_at,
        };
        let next = end.map_or(self.ping_at, |end| end.min(self.ping_at));
        let leaves = match self.phase {
            Phase::Draining { until } => Some(until),
            Phase::New | Phase::Connected(_) => self.leaves_at,
        };
        leaves.map_or(next, |leaves| next.min(leaves))
    }

    /// Time has passed.
    pub fn tick(&mut self, rules: &Rules<'_>) -> Vec<Step> {
        if self.ends_at.is_some_and(|end| rules.now >= end) {
            let steps = match self.phase {
                Phase::New => vec![Step::Close(CloseCode::HandshakeTimeout)],
                Phase::Connected(_) => self.expire(rules),
                Phase::Draining { .. } => vec![Step::Close(CloseCode::TokenExpired)],
            };
            if !steps.is_empty() {
                return steps;
            }
        }
        if let Phase::Draining { until } = self.phase
            && rules.now >= until
        {
            return vec![Step::Close(CloseCode::Restart)];
        }
        if self.leaves_at.is_some_and(|at| rules.now >= at) {
            return self.leave(rules.now);
        }
        if rules.now < self.ping_at {
            return Vec::new();
        }
        let interval = rules.limits.ping_interval();
        if rules.now.duration_since(self.heard) >= 2 * interval {
            return vec![Step::Close(CloseCode::Idle)];
        }
        self.ping_at = rules.now + interval;
        vec![Step::Ping]
    }

    /// The node drains: the session leaves at this time, and goes on until then.
    pub fn drain(&mut self, now: Instant, at: Instant) -> Vec<Step> {
        if matches!(self.phase, Phase::New) {
            return vec![Step::Close(CloseCode::Restart)];
        }
        self.leaves_at = Some(at);
        if now >= at {
            self.leave(now)
        } else {
            Vec::new()
        }
    }

    /// Its time to leave has come: the client is told, and what is under way is finished.
    fn leave(&mut self, now: Instant) -> Vec<Step> {
        self.leaves_at = None;
        match self.phase {
            Phase::New => vec![Step::Close(CloseCode::Restart)],
            Phase::Draining { .. } => Vec::new(),
            Phase::Connected(_) => {
                self.phase = Phase::Draining {
                    until: now + DRAIN_TIMEOUT,
                };
                vec![Step::GoingAway]
            }
        }
    }

    /// Whether a draining session has nothing left to answer.
    pub fn is_drained(&self) -> bool {
        matches!(self.phase, Phase::Draining { .. }) && self.in_flight == 0 && self.reads == 0
    }
}

/// An event that is right, and that its session may publish now.
fn drafted(rules: &Rules<'_>, member: &Member, body: Publish) -> Result<Draft, Refusal> {
    let draft = commands::publish(rules, &member.who, body)?;
    match member.allowance.publish(draft.bytes(), rules.now) {
        Ok(()) => Ok(draft),
        Err(error) => Err(Refusal {
            error,
            held: Some((draft.channel, draft.n)),
        }),
    }
}

mod grant;
mod receiving;

#[cfg(test)]
mod tests;
