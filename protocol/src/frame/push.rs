//! What the server sends on its own account.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::payload::Payload;
use super::presence::{Join, Leave, Presence};
use crate::error_code::ErrorCode;

/// One push, under its own key.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(
    clippy::large_enum_variant,
    reason = "nearly every push is an event: a box would cost an allocation for each"
)]
pub enum Push {
    /// An event on a subscribed channel.
    Event(Event),
    /// An ephemeral event on a subscribed channel.
    Ephemeral(Ephemeral),
    /// Ephemeral events of a subscribed channel that the session had no room for.
    Dropped(Dropped),
    /// Events of a subscribed channel that can no longer be delivered.
    Gap(Gap),
    /// Events of a subscribed channel that are not sent, because the subscription does not
    /// want them.
    Passed(Passed),
    /// Everything up to `seq` has been delivered; what follows is live.
    CaughtUp(CaughtUp),
    /// Who is on a channel, in place of everything that was told before.
    Presence(Presence),
    /// Somebody came to a channel.
    Join(Join),
    /// Somebody left a channel.
    Leave(Leave),
    /// A channel that is delivered no more, although its client has not left it.
    Unsubscribed(Withdrawn),
    /// The session's token has ended.
    TokenExpired(Expiry),
    /// The session will be closed.
    GoingAway(GoingAway),
}

/// An event as subscribers see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// The channel.
    pub channel: String,
    /// Sequence in the store; rises on a channel, with holes.
    pub seq: u64,
    /// The channel's previous sequence; 0 when there is none or it is no longer
    /// kept. Greater than the last `seq` received: something was missed.
    pub prev: u64,
    /// Store time, microseconds since 1970.
    pub time: u64,
    /// Event id, or output id of a function.
    pub id: String,
    /// The publisher's user, where a client caused the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The publisher's writer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// That writer's counter, of the event that was published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<u64>,
    /// Position of the input that a function made this from: `{stream}@{epoch}:{seq}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The function that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
    /// Content type of the data; `application/json` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// The publisher's clock, untouched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<String>,
    /// The publisher's own headers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The data.
    pub data: Payload,
}

/// An ephemeral event as subscribers see it: without a sequence, since it is in no stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ephemeral {
    /// The channel.
    pub channel: String,
    /// When the edge accepted it, microseconds since 1970.
    pub time: u64,
    /// Event id, or output id of a gate.
    pub id: String,
    /// The publisher's user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The publisher's writer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// That writer's counter, of the event that was published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<u64>,
    /// The gate that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
    /// Content type of the data; `application/json` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// The publisher's clock, untouched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<String>,
    /// The publisher's own headers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// In a namespace that conflates: how many older events of the same key it stands for,
    /// which were not sent to this session.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub conflated: u64,
    /// The data.
    pub data: Payload,
}

pub(super) const fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Ephemeral events that the session had no room for. They are nowhere any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dropped {
    /// The channel.
    pub channel: String,
    /// How many, since the last time that it was told.
    pub count: u64,
}

/// Events between two sequences that are lost to this subscription.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gap {
    /// The channel.
    pub channel: String,
    /// First sequence of the range.
    pub from: u64,
    /// Last sequence of the range.
    pub to: u64,
    /// Why.
    pub reason: GapReason,
}

/// Why events cannot be delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GapReason {
    /// The stream no longer keeps the range. It may hold events of this channel.
    Retention,
    /// The stream no longer keeps the range, and the mirror lacks something of it for
    /// another reason than its own retention. Pages of history alone say so.
    Mirror,
}

/// Events that a subscription does not want by their headers: one link of the channel's
/// chain in place of theirs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Passed {
    /// The channel.
    pub channel: String,
    /// The channel's sequence before the first of them, as in an event.
    pub prev: u64,
    /// Sequence of the last of them.
    pub seq: u64,
    /// Store time of the last of them, microseconds since 1970.
    pub time: u64,
    /// How many they are.
    pub count: u64,
}

/// Everything up to here has been delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaughtUp {
    /// The channel.
    pub channel: String,
    /// The last sequence of the replay.
    pub seq: u64,
}

/// A subscription that the node has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Withdrawn {
    /// The channel.
    pub channel: String,
    /// Why.
    pub code: ErrorCode,
}

/// The session's token has ended; what needs one is refused until another comes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expiry {
    /// The session is closed after this many milliseconds.
    pub closes_after_ms: u64,
}

/// The node will close the session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoingAway {
    /// Connect again, to any node, after this many milliseconds.
    pub reconnect_after_ms: u64,
}
