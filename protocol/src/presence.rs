//! Who is on a channel, as nodes tell it to each other in the bucket `PRESENCE`.
//!
//! Plain data. Each node writes its own part of a channel, and a sign of life; who reads
//! puts the parts of the living together.

use serde::{Deserialize, Serialize};

use crate::frame::Member;
use crate::name::NameError;
use crate::spec::PRESENCE_LIST_MAX;

/// Longest part of a channel, bytes: NATS takes 1 MiB in one message. One that would be
/// longer counts its members alone.
pub const PART_BYTES_MAX: usize = 512 << 10;

/// Hexadecimal digits of a node's name.
const NODE_DIGITS: usize = 16;

/// One life of one edge node: random, and never used again.
///
/// A node that was taken for dead goes on under another name, so that whoever tidies up
/// after the first can never touch what the second has written.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(Box<str>);

impl NodeId {
    /// The name that a random number gives.
    pub fn from_random(number: u64) -> Self {
        Self(format!("{number:016x}").into())
    }

    /// Reads a name.
    ///
    /// # Errors
    /// [`NameError::Character`] for anything but 16 hexadecimal digits, which names one
    /// that does not belong there.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let field = "node";
        let digit = |found: &char| found.is_ascii_digit() || ('a'..='f').contains(found);
        if let Some(found) = text.chars().find(|found| !digit(found)) {
            return Err(NameError::Character { field, found });
        }
        match text.len() {
            0 => Err(NameError::Empty { field }),
            NODE_DIGITS => Ok(Self(text.into())),
            bytes => Err(NameError::TooLong {
                field,
                bytes,
                max: NODE_DIGITS,
            }),
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for NodeId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A node's part of a channel: its own members there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// How many there are.
    pub count: u32,
    /// Who they are; `None`: too many to be named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub members: Option<Vec<Member>>,
}

impl Part {
    /// Nobody is there.
    pub const fn nobody() -> Self {
        Self {
            count: 0,
            members: Some(Vec::new()),
        }
    }

    /// A part as it is written: one that is too long counts alone.
    pub fn to_bytes(&self) -> Vec<u8> {
        let whole = serde_json::to_vec(self).expect("a part has only texts and numbers");
        if whole.len() <= PART_BYTES_MAX {
            return whole;
        }
        let counted = Self {
            count: self.count,
            members: None,
        };
        serde_json::to_vec(&counted).expect("a part has only texts and numbers")
    }

    /// Reads a part. One that is longer than any node writes it counts alone; `None` if it
    /// cannot be read.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let mut part: Self = serde_json::from_slice(bytes).ok()?;
        let named = part.members.as_ref().map_or(0, Vec::len);
        if bytes.len() > PART_BYTES_MAX || named > PRESENCE_LIST_MAX as usize {
            part.members = None;
        }
        // A count that its own list contradicts would be told to watchers as a change.
        if let Some(members) = &part.members {
            part.count = u32::try_from(members.len()).unwrap_or(u32::MAX);
        }
        Some(part)
    }
}

/// A node's sign of life, or the mark that it has been taken for dead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Life {
    /// What its operators call it.
    pub name: String,
    /// When it was written, by its writer's clock, microseconds since 1970.
    pub at: u64,
    /// Taken for dead by another node, for good.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dead: bool,
}

/// What is told of a channel on its lifecycle channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Occupancy {
    /// Its first member has come.
    Occupied,
    /// Its last member has left.
    Vacated,
    /// Of a writer: its first session has come.
    Connected,
    /// Of a writer: its last session is gone.
    Disconnected,
}

impl Occupancy {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Occupied => "occupied",
            Self::Vacated => "vacated",
            Self::Connected => "connected",
            Self::Disconnected => "disconnected",
        }
    }
}

/// The data of an event on a lifecycle channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LifecycleEvent {
    /// What has become of the channel.
    pub lifecycle: Occupancy,
    /// The channel; of a writer the one on which is told of it.
    pub channel: String,
    /// The writer, where it is told of one.
    #[serde(default, flatten, skip_serializing_if = "Option::is_none")]
    pub writer: Option<Writer>,
}

/// A writer of which is told that it connects and disconnects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Writer {
    /// Its user.
    pub user: String,
    /// Its name.
    pub client: String,
    /// The session that came first, as its client was told it.
    pub session: String,
}

impl From<&Member> for Writer {
    fn from(member: &Member) -> Self {
        Self {
            user: member.user.clone(),
            client: member.client.clone(),
            session: member.session.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(user: &str, n: usize) -> Member {
        Member {
            user: user.into(),
            client: format!("c{n}"),
            session: "edge-1".into(),
            since: 5,
        }
    }

    #[test]
    fn a_nodes_name_is_sixteen_digits() {
        let node = NodeId::from_random(0xab);
        assert_eq!(node.as_str(), "00000000000000ab");
        assert_eq!(NodeId::parse(node.as_str()), Ok(node));
        for text in ["", "ab", "00000000000000AB", "00000000000000a.", "*"] {
            assert!(NodeId::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_part_within_and_beyond_its_bytes() {
        let part = |user: &str, count: usize| Part {
            count: count as u32,
            members: Some((0..count).map(|n| member(user, n)).collect()),
        };
        let named = part("ann", 3);
        assert_eq!(Part::read(&named.to_bytes()), Some(named));
        let long = part(&"x".repeat(PART_BYTES_MAX / 2), 2);
        let read = Part::read(&long.to_bytes()).unwrap();
        assert_eq!((read.count, read.members), (2, None));
    }

    #[test]
    fn a_part_of_more_members_than_any_node_names_counts_alone() {
        let max = PRESENCE_LIST_MAX as usize;
        for (count, named) in [(max, true), (max + 1, false)] {
            let members = (0..count).map(|n| member("ann", n)).collect();
            let part = Part {
                count: 1,
                members: Some(members),
            };
            let bytes = serde_json::to_vec(&part).unwrap();
            let read = Part::read(&bytes).unwrap();
            assert_eq!(read.members.is_some(), named);
        }
        assert_eq!(Part::read(b"{"), None);
    }
}
