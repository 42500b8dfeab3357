//! What the server answers.

use serde::{Deserialize, Serialize};

use super::credit::Granted;
use super::history::HistoryPage;
use super::presence::{Join, Leave, Presence};
use super::push::{CaughtUp, Dropped, Ephemeral, Event, Expiry, Gap, GoingAway, Passed, Withdrawn};
use super::ticket::Ticket;
use crate::class::Class;
use crate::error_code::ErrorCode;
use crate::position::{Epoch, Position};

/// One reply: the command's `id` and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reply {
    /// The command's id; 0 when it could not be read.
    pub id: u64,
    /// Under the command's own key, or `error`.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What came of a command.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The session is authenticated.
    Connect(Box<Connected>),
    /// The session goes on with the new token.
    Refresh(Refreshed),
    /// The channel will be delivered.
    Subscribe(Subscribed),
    /// The channel will not be delivered any more.
    Unsubscribe(Unsubscribed),
    /// The event is stored.
    Publish(Published),
    /// A page of stored events.
    History(Box<HistoryPage>),
    /// Who is on a channel.
    Presence(Presence),
    /// The ephemeral event was passed on.
    #[serde(rename = "publish")]
    PassedOn(PassedOn),
    /// A text with which to come back.
    Ticket(Box<Ticket>),
    /// More events may be sent.
    Credit(Granted),
    /// The server's time.
    Ping(Pong),
    /// Refused.
    Error(ErrorBody),
}

/// Answer to `connect`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Connected {
    /// Names this session in logs.
    pub session: String,
    /// The tenant of the token.
    pub tenant: String,
    /// The user of the token.
    pub user: String,
    /// What the reserved channels begin with on which this writer is told outcomes: a
    /// point and the namespace of the events follow.
    pub outcome_prefix: String,
    /// The server's time, microseconds since 1970.
    pub time: u64,
    /// Until when the token is served, microseconds since 1970.
    pub expires_at: u64,
    /// The server sends a WebSocket ping this often, milliseconds; a client that
    /// neither sends nor answers for twice as long is closed.
    pub ping_interval_ms: u64,
    /// Most publishes of this session that may wait for their ack.
    pub publish_window: u32,
    /// What this node allows.
    pub limits: Limits,
    /// The channels of the ticket, whose `subscribe` is answered under the ids that follow
    /// that of `connect`, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resumed: Vec<String>,
}

/// What a node allows a session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Longest WebSocket message from a client, bytes.
    pub message_bytes: usize,
    /// Longest data of one event, bytes.
    pub data_bytes: usize,
    /// Most channels subscribed at once.
    pub subscriptions: usize,
    /// Bytes that may wait to be sent to the client before its channels are
    /// paused and read again from the stream later.
    pub outbox_bytes: usize,
    /// Commands of this session in a second; twice as many after a pause.
    pub operations_per_second: u64,
    /// Bytes that this session publishes in a second, headers included; twice as many
    /// after a pause.
    pub bytes_per_second: u64,
    /// Subscriptions that this session makes in a second; twice as many after a pause.
    pub subscribes_per_second: u64,
}

/// Answer to `subscribe`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Subscribed {
    /// The channel.
    pub channel: String,
    /// Epoch of every sequence on this channel.
    pub epoch: Epoch,
    /// Deliveries follow this sequence: the `prev` of the first event is this or less.
    pub after: u64,
    /// Who is on the channel, where that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub presence: Option<Presence>,
}

/// Answer to `unsubscribe`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Unsubscribed {
    /// The channel.
    pub channel: String,
}

/// Answer to `publish`: the event is stored, and stays so.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Published {
    /// The event's counter.
    pub n: u64,
    /// Which stream `position` is of.
    pub stored_in: StoredIn,
    /// Where it is stored.
    pub position: Position,
    /// Whether it had been stored before; the position is then the first one.
    pub duplicate: bool,
}

/// Answer to `publish` of an ephemeral event: it was handed to NATS, which gives it to
/// whoever listens at that moment. Nothing is stored, and nothing more is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PassedOn {
    /// The event's counter.
    pub n: u64,
    /// `ephemeral`.
    pub class: Class,
    /// The namespace's gate filtered it, for this reason, which may be empty: nobody
    /// receives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropped: Option<String>,
}

/// The answer to `publish`, as a client reads it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum PublishReply {
    /// A durable event is stored.
    Stored(Published),
    /// An ephemeral one was passed on.
    PassedOn(PassedOn),
}

impl PublishReply {
    /// Where the event is stored, if it is.
    pub fn stored(self) -> Option<Published> {
        match self {
            Self::Stored(published) => Some(published),
            Self::PassedOn(_) => None,
        }
    }
}

/// Which stream of the store holds an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoredIn {
    /// EVENTS: what subscribers see.
    Events,
    /// INGRESS: the event still passes the namespace's gate.
    Ingress,
}

/// Answer to `refresh`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Refreshed {
    /// Until when the new token is served, microseconds since 1970.
    pub expires_at: u64,
}

/// Answer to `ping`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pong {
    /// The server's time, microseconds since 1970.
    pub time: u64,
}

/// A refusal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// What for.
    pub code: ErrorCode,
    /// One sentence for people; names the field or the limit.
    pub message: String,
    /// Whether the same command may succeed later.
    pub temporary: bool,
    /// Not before this many milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// With `seq_mismatch`: the channel's last sequence; 0 when the store keeps nothing of
    /// it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seq: Option<u64>,
}

impl ErrorBody {
    /// A refusal with the advice that belongs to its code.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            temporary: code.temporary(),
            retry_after_ms: code.retry_after_ms(),
            last_seq: None,
        }
    }

    /// The channel ends at `last_seq`, and not where the publisher expected it.
    pub fn seq_mismatch(expected: u64, last_seq: u64) -> Self {
        let message = format!("the channel's last sequence is {last_seq}, not {expected}");
        Self {
            last_seq: Some(last_seq),
            ..Self::new(ErrorCode::SeqMismatch, message)
        }
    }
}

/// Everything that a server sends, as a client reads it: a reply (with `id`) or a push.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FromServer {
    /// Present on replies.
    pub id: Option<u64>,
    /// Reply to `connect`.
    pub connect: Option<Box<Connected>>,
    /// Reply to `refresh`.
    pub refresh: Option<Refreshed>,
    /// Reply to `subscribe`.
    pub subscribe: Option<Subscribed>,
    /// Reply to `unsubscribe`.
    pub unsubscribe: Option<Unsubscribed>,
    /// Reply to `publish`.
    pub publish: Option<PublishReply>,
    /// Reply to `history`.
    pub history: Option<Box<HistoryPage>>,
    /// Reply to `presence`; push: who is on a channel, in place of what was told before.
    pub presence: Option<Presence>,
    /// Reply to `ticket`.
    pub ticket: Option<Box<Ticket>>,
    /// Reply to `credit`.
    pub credit: Option<Granted>,
    /// Reply to `ping`.
    pub ping: Option<Pong>,
    /// Refusal.
    pub error: Option<ErrorBody>,
    /// Push: an event.
    pub event: Option<Event>,
    /// Push: an ephemeral event.
    pub ephemeral: Option<Ephemeral>,
    /// Push: ephemeral events that this session had no room for.
    pub dropped: Option<Dropped>,
    /// Push: somebody came to a channel.
    pub join: Option<Join>,
    /// Push: somebody left a channel.
    pub leave: Option<Leave>,
    /// Push: events that are lost to this subscription.
    pub gap: Option<Gap>,
    /// Push: events that the subscription does not want.
    pub passed: Option<Passed>,
    /// Push: what was missed has been delivered.
    pub caught_up: Option<CaughtUp>,
    /// Push: a channel is delivered no more.
    pub unsubscribed: Option<Withdrawn>,
    /// Push: the session's token has ended.
    pub token_expired: Option<Expiry>,
    /// Push: the node will close the session.
    pub going_away: Option<GoingAway>,
}
