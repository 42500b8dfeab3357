//! Ephemeral events through a gate: what an edge asks a worker, and what it is answered.
//!
//! The request is a message on the event's subject of kind `req`, with the headers and the
//! data of raw input. The answer is one MessagePack value. Nothing of either is stored, so
//! an event passes at most once: without an answer nobody knows whether it did.
//!
//! Pure; owns nothing.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::frame::Payload;
use crate::name::Channel;

/// How long a worker may take to answer. Who asks waits a little longer, and then knows
/// that no answer comes.
pub const ANSWER_WITHIN: Duration = Duration::from_millis(1_000);
/// The queue group of the workers of a store: each request is one worker's.
pub const GROUP: &str = "gates";

/// What became of an ephemeral event at its gate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// It passed: what is to be fanned out for it, in order.
    Passed(Vec<Emission>),
    /// The gate filtered it, for this reason, which may be empty.
    Dropped(String),
    /// The gate refused it, for this reason: the same event is refused again.
    Rejected(String),
    /// The gate failed on it, or asks for another attempt.
    Failed {
        /// Why.
        reason: String,
        /// When the same event may be sent again, milliseconds; `None`: it would fail again.
        retry_after_ms: Option<u64>,
    },
    /// It was not handed to the gate.
    Unavailable {
        /// Why.
        cause: Cause,
        /// The same in words, with the gate's name.
        reason: String,
        /// When to ask again, milliseconds; `None`: somebody has to do something first.
        retry_after_ms: Option<u64>,
    },
}

/// Why an ephemeral event was not handed to its gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// No such gate is deployed in the store.
    Absent,
    /// It is paused.
    Paused,
    /// What is deployed cannot run, or does not start.
    Broken,
    /// The worker has not compiled it yet.
    Loading,
    /// As many events wait for it as may.
    Overloaded,
    /// Its turn did not come in time.
    Late,
    /// It remembers something of channels, which ephemeral events have no part in.
    Remembers,
    /// The request is not one.
    Malformed,
}

impl Cause {
    /// Its name in answers and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Paused => "paused",
            Self::Broken => "broken",
            Self::Loading => "loading",
            Self::Overloaded => "overloaded",
            Self::Late => "late",
            Self::Remembers => "remembers",
            Self::Malformed => "malformed",
        }
    }
}

/// One event that a gate lets pass.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Emission {
    /// Where to: the event's own channel, or one that the gate was granted.
    pub channel: Channel,
    /// Content type; `None` is JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Headers, names without the prefix.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// The data.
    pub data: Payload,
}

impl Answer {
    /// As it is sent.
    pub fn encode(&self) -> Bytes {
        let encoded = rmp_serde::to_vec_named(self);
        encoded
            .expect("answers have texts, numbers and bytes")
            .into()
    }

    /// Reads what [`Self::encode`] writes; `None` for anything else.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        rmp_serde::from_slice(bytes).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_round_trip() {
        let emission = Emission {
            channel: Channel::parse("room.cursor").unwrap(),
            content_type: Some("application/octet-stream".into()),
            headers: vec![("a".into(), "b".into())],
            data: Payload::Bytes(Bytes::from_static(&[0, 255, 1])),
        };
        let plain = Emission {
            content_type: None,
            headers: Vec::new(),
            ..emission.clone()
        };
        for answer in [
            Answer::Passed(vec![emission, plain]),
            Answer::Passed(Vec::new()),
            Answer::Dropped(String::new()),
            Answer::Rejected("no".into()),
            Answer::Failed {
                reason: "trap".into(),
                retry_after_ms: None,
            },
            Answer::Unavailable {
                cause: Cause::Overloaded,
                reason: "too many".into(),
                retry_after_ms: Some(5),
            },
        ] {
            assert_eq!(Answer::decode(&answer.encode()), Some(answer));
        }
        assert_eq!(Answer::decode(b"{}"), None);
        assert_eq!(Answer::decode(b""), None);
    }

    #[test]
    fn causes_are_written_as_they_are_named() {
        let written = serde_json::to_string(&Cause::Overloaded).unwrap();
        assert_eq!(written, format!("\"{}\"", Cause::Overloaded.as_str()));
    }
}
