//! Who is on a channel: asked for, and told as it changes.

use serde::{Deserialize, Serialize};

/// Asks who is on a channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AskPresence {
    /// The channel.
    pub channel: String,
    /// Whether the members are wanted, and not their count alone.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub members: bool,
}

const fn yes() -> bool {
    true
}

const fn is_yes(value: &bool) -> bool {
    *value
}

/// Who is on a channel: the answer to `presence`, a part of the answer to `subscribe`, and
/// a push that takes the place of everything that was told before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Presence {
    /// The channel.
    pub channel: String,
    /// How many members there are.
    pub count: u32,
    /// Who they are; absent where that was not asked for, and where there are more than
    /// the namespace names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub members: Option<Vec<Member>>,
    /// The namespace has no presence any more: nothing more will be told.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ended: bool,
}

/// A member of a channel: one writer, by whichever of its sessions came last.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// The user.
    pub user: String,
    /// The writer.
    pub client: String,
    /// Its session.
    pub session: String,
    /// Since when that session is there, microseconds since 1970.
    pub since: u64,
}

/// Somebody came to a channel, or is there with another session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Join {
    /// The channel.
    pub channel: String,
    /// The user.
    pub user: String,
    /// The writer.
    pub client: String,
    /// Its session.
    pub session: String,
    /// Since when, microseconds since 1970.
    pub since: u64,
}

impl Join {
    /// Of this member.
    pub fn of(channel: &str, member: Member) -> Self {
        Self {
            channel: channel.into(),
            user: member.user,
            client: member.client,
            session: member.session,
            since: member.since,
        }
    }

    /// The member.
    pub fn member(self) -> Member {
        Member {
            user: self.user,
            client: self.client,
            session: self.session,
            since: self.since,
        }
    }
}

/// Somebody left a channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leave {
    /// The channel.
    pub channel: String,
    /// The user.
    pub user: String,
    /// The writer.
    pub client: String,
    /// Its last session.
    pub session: String,
}
