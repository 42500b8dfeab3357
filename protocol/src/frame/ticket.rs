//! Coming back in one round trip: a text that holds who a session is and what it receives.

use serde::{Deserialize, Serialize};

/// Asks for a ticket of the session as it is now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AskTicket {}

/// Answer to `ticket`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ticket {
    /// What `connect` takes instead of a token, on any node.
    pub ticket: String,
    /// The channels that come back with it, in its order: those that stand.
    pub channels: Vec<String>,
    /// Until when it is good, microseconds since 1970: as the session's token.
    pub expires_at: u64,
}

/// In `connect`: comes back by a ticket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resume {
    /// The ticket.
    pub ticket: String,
    /// Where the client stands on the ticket's channels, in its order: the last sequence of
    /// each, or null for what the ticket says. Absent: as the ticket says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<Option<u64>>,
}
