//! What a client asks for.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::credit::Grant;
use super::history::History;
use super::payload::Payload;
use super::presence::AskPresence;
use super::strict::{self, distinct_headers};
use super::ticket::{AskTicket, Resume};
use crate::class::Class;
use crate::filter::HeaderFilter;
use crate::position::Position;

/// One command as it stands on the wire: an `id` and exactly one action.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// Chosen by the client, echoed in the reply. Not checked for uniqueness.
    pub id: u64,
    /// Authenticate; the first command of a session.
    #[serde(
        default,
        deserialize_with = "strict::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub connect: Option<Connect>,
    /// Go on with another token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh: Option<Refresh>,
    /// Receive a channel.
    #[serde(
        default,
        deserialize_with = "strict::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub subscribe: Option<Subscribe>,
    /// Stop receiving a channel.
    #[serde(
        default,
        deserialize_with = "strict::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub unsubscribe: Option<Unsubscribe>,
    /// Store an event, or pass an ephemeral one on.
    #[serde(
        default,
        deserialize_with = "strict::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub publish: Option<Publish>,
    /// Read stored events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<History>,
    /// Ask who is on a channel.
    #[serde(
        default,
        deserialize_with = "strict::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub presence: Option<AskPresence>,
    /// Take more events of a channel.
    #[serde(
        default,
        deserialize_with = "strict::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub credit: Option<Grant>,
    /// Ask for a text with which to come back.
    #[serde(
        default,
        deserialize_with = "strict::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub ticket: Option<AskTicket>,
    /// Ask for the server's time; keeps an idle session open.
    #[serde(
        default,
        deserialize_with = "strict::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub ping: Option<Ping>,
}

/// The one action of a command.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// See [`Connect`].
    Connect(Connect),
    /// See [`Refresh`].
    Refresh(Refresh),
    /// See [`Subscribe`].
    Subscribe(Subscribe),
    /// See [`Unsubscribe`].
    Unsubscribe(Unsubscribe),
    /// See [`Publish`].
    Publish(Publish),
    /// See [`History`].
    History(History),
    /// See [`AskPresence`].
    Presence(AskPresence),
    /// See [`Grant`].
    Credit(Grant),
    /// See [`AskTicket`].
    Ticket(AskTicket),
    /// See [`Ping`].
    Ping(Ping),
}

impl Command {
    /// The one action, or `None` when there is none or more than one.
    pub fn into_action(self) -> Option<(u64, Action)> {
        let mut actions = [
            self.connect.map(Action::Connect),
            self.refresh.map(Action::Refresh),
            self.subscribe.map(Action::Subscribe),
            self.unsubscribe.map(Action::Unsubscribe),
            self.publish.map(Action::Publish),
            self.history.map(Action::History),
            self.presence.map(Action::Presence),
            self.credit.map(Action::Credit),
            self.ticket.map(Action::Ticket),
            self.ping.map(Action::Ping),
        ]
        .into_iter()
        .flatten();
        let first = actions.next()?;
        actions.next().is_none().then_some((self.id, first))
    }

    /// A command with this action.
    pub fn new(id: u64, action: Action) -> Self {
        let mut command = Self {
            id,
            ..Self::default()
        };
        match action {
            Action::Connect(body) => command.connect = Some(body),
            Action::Refresh(body) => command.refresh = Some(body),
            Action::Subscribe(body) => command.subscribe = Some(body),
            Action::Unsubscribe(body) => command.unsubscribe = Some(body),
            Action::Publish(body) => command.publish = Some(body),
            Action::History(body) => command.history = Some(body),
            Action::Presence(body) => command.presence = Some(body),
            Action::Credit(body) => command.credit = Some(body),
            Action::Ticket(body) => command.ticket = Some(body),
            Action::Ping(body) => command.ping = Some(body),
        }
        command
    }
}

/// Authenticates the session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Connect {
    /// A JWT: `sub`, `tenant`, `exp`, `scopes`; absent where a ticket stands in its place.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub token: String,
    /// This writer's random name: one token; never shared by two writers.
    pub client: String,
    /// Who it is, and what it receives, by a ticket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume: Option<Resume>,
}

impl Connect {
    /// A writer with a token.
    pub fn new(token: impl Into<String>, client: impl Into<String>) -> Self {
        Self {
            token: token.into(),
            client: client.into(),
            resume: None,
        }
    }
}

/// Goes on with another token of the same tenant and user.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refresh {
    /// The token; what it allows replaces what was allowed.
    pub token: String,
}

/// Receives a channel from a place on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subscribe {
    /// The channel.
    pub channel: String,
    /// Where to start; now when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Start>,
    /// Whether this writer's own ephemeral events come back to it; they do unless it says
    /// `false`. Durable ones always do: the chain of a channel has no holes.
    #[serde(default = "echo", skip_serializing_if = "is_echo")]
    pub echo: bool,
    /// Whether the client is told who is on the channel, and who comes and goes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub presence: bool,
    /// How many events it may be sent before its client grants more; all of them when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credit: Option<u64>,
    /// Which events it is sent, by their headers; all of them when absent.
    #[serde(default, skip_serializing_if = "HeaderFilter::is_empty")]
    pub headers: HeaderFilter,
}

impl Subscribe {
    /// A channel from now on, and nothing beside its events.
    pub fn new(channel: impl Into<String>) -> Self {
        Self {
            channel: channel.into(),
            from: None,
            echo: true,
            presence: false,
            credit: None,
            headers: HeaderFilter::default(),
        }
    }
}

const fn echo() -> bool {
    true
}

const fn is_echo(echo: &bool) -> bool {
    *echo
}

/// Where a subscription starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Start {
    /// A word.
    Named(Named),
    /// After the event at this position.
    After(#[serde(deserialize_with = "strict::map")] Position),
}

/// The starts that have a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Named {
    /// With the first event that is kept.
    Earliest,
    /// With the next event.
    Now,
}

/// Stops receiving a channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unsubscribe {
    /// The channel.
    pub channel: String,
}

/// Stores an event, or passes an ephemeral one on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Publish {
    /// The channel.
    pub channel: String,
    /// How it is delivered; durable when absent.
    #[serde(default, skip_serializing_if = "Class::is_default")]
    pub class: Class,
    /// The writer's counter: names this event for ever, with tenant, user and client.
    pub n: u64,
    /// The data.
    pub data: Payload,
    /// Content type of the data; `application/json` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// The user's own headers.
    #[serde(
        default,
        deserialize_with = "distinct_headers",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub headers: BTreeMap<String, String>,
    /// Present on a resend: the server's time (microseconds since 1970, as the
    /// client reckons it from the connect reply) at this event's first attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_sent: Option<u64>,
    /// Store the event only if this is the channel's last sequence; 0: if the store keeps
    /// nothing of the channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_seq: Option<u64>,
    /// A clock of the publisher (a vector clock, a version), carried untouched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<String>,
    /// Tell on the writer's outcome channel when the event has passed its namespace's gate.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub receipt: bool,
}

/// Asks for the server's time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ping {}
