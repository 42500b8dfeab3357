//! What a function lane commits in one atomic batch with its outputs.

use serde::{Deserialize, Serialize};

use crate::name::Channel;
use crate::position::Epoch;
use crate::stream::StreamName;

/// Most channels of a lane that may be parked; past that the lane pauses.
pub const PARKED_MAX: usize = 1_000;

/// A function's progress on one lane. JSON, on `ck.{store}.{lane}.{function}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The stream that the inputs come from.
    pub stream: StreamName,
    /// The store's epoch when it was written.
    pub epoch: Epoch,
    /// The last input that is settled, but for those of parked channels.
    pub seq: u64,
    /// That input's store time, microseconds since 1970; 0 before the first. On
    /// resume it must be the stored event's, or the stream was rolled back.
    pub time: u64,
    /// Digest of the module that made the outputs.
    pub digest: Digest,
    /// Revision of the lease under which it was written.
    pub lease: u64,
    /// Channels that wait for a retry.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parked: Vec<Parked>,
}

/// A channel that waits: its inputs from `seq` on are not settled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parked {
    /// The tenant.
    pub tenant: crate::name::Tenant,
    /// The channel.
    pub channel: Channel,
    /// The first input that is not settled.
    pub seq: u64,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was first tried, microseconds since 1970.
    pub since: u64,
    /// When it is tried next, microseconds since 1970.
    pub due: u64,
}

/// The sha-256 digest of a Wasm module, 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Digest(Box<str>);

impl Digest {
    /// Reads a digest.
    pub fn parse(text: &str) -> Option<Self> {
        let valid = text.len() == 64
            && text
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        valid.then(|| Self(text.into()))
    }

    /// A digest from the hash's bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(
            bytes
                .iter()
                .map(|b| format!("{b:02x}"))
                .collect::<String>()
                .into(),
        )
    }

    /// The digest as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text)
            .ok_or_else(|| serde::de::Error::custom("a digest is 64 hexadecimal digits"))
    }
}
