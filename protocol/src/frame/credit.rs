//! How many events a client is ready to take on a channel.

use serde::{Deserialize, Serialize};

/// Most events that a client may have granted on a channel and not been sent, at once:
/// more than any client can take in one go; beyond it a credit would be a mistake.
pub const CREDIT_EVENTS_MAX: u64 = 1_000_000;

/// Grants events on a channel that was subscribed with credit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// The channel.
    pub channel: String,
    /// How many events more it may be sent.
    pub events: u64,
}

/// Answer to `credit`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Granted {
    /// The channel.
    pub channel: String,
    /// Events that are granted and not sent yet, these among them.
    pub left: u64,
}
