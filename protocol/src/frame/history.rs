//! Reading a channel's stored events, a page at a time.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::push::{Event, Gap, is_zero};
use crate::filter::HeaderFilter;
use crate::position::{Epoch, Position};

/// Most events of a page: a frame that a client reads in one go.
pub const HISTORY_EVENTS_MAX: u32 = 256;
/// Events of a page unless told otherwise.
pub const HISTORY_EVENTS_DEFAULT: u32 = 100;

/// Reads stored events of a channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct History {
    /// The channel.
    pub channel: String,
    /// Where to start. When absent: the beginning, or backwards the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Mark>,
    /// Newest first, towards the beginning.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub backwards: bool,
    /// Most events of the page; more than [`HISTORY_EVENTS_MAX`] count as that many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<NonZeroU32>,
    /// Which events the page holds of those that it looks at; all of them when absent.
    #[serde(default, skip_serializing_if = "HeaderFilter::is_empty")]
    pub headers: HeaderFilter,
}

/// A place in a channel's history. Forwards reading goes up from it, backwards down.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Mark {
    /// A word.
    End(End),
    /// Not with the event at this position, but with the next one.
    Position(Position),
    /// With this sequence.
    Sequence(AtSequence),
    /// With this time.
    Time(AtTime),
}

/// The ends of a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// Before the first event that is kept.
    Earliest,
    /// Behind the last event that is stored.
    Latest,
}

/// A sequence of the store's present epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AtSequence {
    /// The sequence.
    pub seq: u64,
}

/// A store time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AtTime {
    /// Microseconds since 1970.
    pub time: u64,
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::End(End::Earliest) => f.write_str("earliest"),
            Self::End(End::Latest) => f.write_str("latest"),
            Self::Position(Position { epoch, seq, time }) => {
                write!(f, "{epoch}:{seq}")?;
                time.map_or(Ok(()), |time| write!(f, ":{time}"))
            }
            Self::Sequence(AtSequence { seq }) => seq.fmt(f),
            Self::Time(AtTime { time }) => write!(f, "@{time}"),
        }
    }
}

/// A text that is no mark.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "it is neither earliest, latest, a sequence, EPOCH:SEQUENCE nor @ with microseconds since 1970"
)]
pub struct NoMark;

impl FromStr for Mark {
    type Err = NoMark;

    /// Reads a mark as [`fmt::Display`] writes it: a query holds one.
    fn from_str(text: &str) -> Result<Self, NoMark> {
        let number = |text: &str| text.parse().map_err(|_| NoMark);
        match text {
            "earliest" => return Ok(Self::End(End::Earliest)),
            "latest" => return Ok(Self::End(End::Latest)),
            _ => {}
        }
        if let Some(time) = text.strip_prefix('@') {
            let time = number(time)?;
            return Ok(Self::Time(AtTime { time }));
        }
        let Some((epoch, rest)) = text.split_once(':') else {
            let seq = number(text)?;
            return Ok(Self::Sequence(AtSequence { seq }));
        };
        let (seq, time) = match rest.split_once(':') {
            Some((seq, time)) => (number(seq)?, Some(number(time)?)),
            None => (number(rest)?, None),
        };
        let epoch = Epoch::parse(epoch).ok_or(NoMark)?;
        Ok(Self::Position(Position { epoch, seq, time }))
    }
}

/// A page of a channel's history: every event of the channel with a sequence from
/// `first_seq` to `last_seq`, but for those in `gap`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistoryPage {
    /// The channel.
    pub channel: String,
    /// Epoch of every sequence on this channel.
    pub epoch: Epoch,
    /// The events; rising, or falling when they are read backwards.
    pub events: Vec<Event>,
    /// The first sequence that this page accounts for.
    pub first_seq: u64,
    /// The last one; below `first_seq` when there is nothing to account for.
    pub last_seq: u64,
    /// The part of it that the store no longer keeps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap: Option<Gap>,
    /// Events in that range that are left out, because their headers are not as asked for.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub passed: u64,
    /// The first sequence that the store keeps: there history begins, for now.
    pub begins: u64,
    /// Where the next page starts.
    pub next: Position,
    /// Whether anything may come in the same direction.
    pub more: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_round_trip_as_text_and_as_json() {
        for (text, json) in [
            ("earliest", r#""earliest""#),
            ("latest", r#""latest""#),
            ("42", r#"{"seq":42}"#),
            ("9f:42", r#"{"epoch":"9f","seq":42}"#),
            ("9f:42:7", r#"{"epoch":"9f","seq":42,"time":7}"#),
            ("@1764000000000000", r#"{"time":1764000000000000}"#),
        ] {
            let mark: Mark = text.parse().unwrap();
            assert_eq!(mark.to_string(), text);
            assert_eq!(serde_json::to_string(&mark).unwrap(), json);
            assert_eq!(serde_json::from_str::<Mark>(json).unwrap(), mark);
        }
        for text in ["", "now", "-1", "9F:1", "9f:", "@", "@soon", "1:2:3:4"] {
            assert_eq!(text.parse::<Mark>(), Err(NoMark), "{text}");
        }
    }
}
