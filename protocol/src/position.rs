//! Where an event stands: epoch, sequence and store time.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

/// Longest epoch, in bytes.
pub const EPOCH_BYTES_MAX: usize = 32;

/// The identity of one life of a store's streams: random, written once by the
/// bootstrap; a restore from a backup must change it, so that positions taken
/// before are refused instead of silently meaning other events.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Epoch(Box<str>);

impl Epoch {
    /// Reads an epoch: 1 to 32 of `[a-z0-9]`.
    pub fn parse(text: &str) -> Option<Self> {
        let valid = (1..=EPOCH_BYTES_MAX).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        valid.then(|| Self(text.into()))
    }

    /// Makes an epoch from 64 random bits.
    pub fn from_random(bits: u64) -> Self {
        Self(format!("{bits:016x}").into())
    }

    /// The epoch as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Epoch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            serde::de::Error::custom("epoch must be 1 to 32 lower-case letters and digits")
        })
    }
}

/// A position in a stream, as clients keep it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// The store's epoch.
    pub epoch: Epoch,
    /// Sequence in the stream; 0 is before the first event.
    pub seq: u64,
    /// Store time in microseconds since 1970, where known: JetStream's publish
    /// acknowledgement does not carry it, so acks have none and events do. Where
    /// present it is compared with the stored event's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<u64>,
}

/// The position of the input that a function made an output from, written
/// `{stream}@{epoch}:{seq}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Source {
    /// The input's stream.
    pub stream: crate::stream::StreamName,
    /// The store's epoch.
    pub epoch: Epoch,
    /// The input's sequence.
    pub seq: u64,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}:{}", self.stream, self.epoch, self.seq)
    }
}

impl Source {
    /// Reads a source as [`fmt::Display`] writes it.
    pub fn parse(text: &str) -> Option<Self> {
        let (stream, rest) = text.split_once('@')?;
        let (epoch, seq) = rest.split_once(':')?;
        Some(Self {
            stream: crate::stream::StreamName::parse(stream)?,
            epoch: Epoch::parse(epoch)?,
            seq: seq.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_round_trip() {
        let source = Source::parse("INGRESS-main@0a1b:42").unwrap();
        assert_eq!(source.to_string(), "INGRESS-main@0a1b:42");
        assert_eq!(Source::parse("OTHER-main@0a1b:42"), None);
        assert_eq!(Source::parse("INGRESS-main@0A:42"), None);
    }
}
