//! What a publisher is told of an event that came to a gate, and what is
//! kept of an event that a function could not handle.

use serde::{Deserialize, Serialize};

use crate::position::Position;

/// Data of an event on `_outcome.{user}.{client}.{namespace}`, JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutcomeEvent {
    /// What became of the event.
    pub outcome: OutcomeKind,
    /// The event's id.
    pub id: String,
    /// The publisher's counter.
    pub n: u64,
    /// The event's channel.
    pub channel: String,
    /// The event's position in INGRESS.
    pub position: Position,
    /// The function that decided.
    pub function: String,
    /// The function's reason, or the host's; empty of one that passed.
    pub reason: String,
    /// Of one that passed: what the gate made of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs: Option<Outputs>,
}

/// Most channels that a receipt names: far more than a gate emits to for one event, and a
/// receipt stays small.
pub const RECEIPT_CHANNELS_MAX: usize = 64;

/// What a gate made of an event. They were stored with the receipt, in one batch, directly
/// before it: with `seq` that of the receipt, they are `seq - count` to `seq - 1`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outputs {
    /// How many events.
    pub count: u64,
    /// The channels of the first [`RECEIPT_CHANNELS_MAX`] of them, in order.
    pub channels: Vec<String>,
}

impl Outputs {
    /// The sequence of each, and its channel where that is named, by that of the receipt.
    pub fn places(&self, receipt_seq: u64) -> impl Iterator<Item = (u64, Option<&str>)> {
        let first = receipt_seq.saturating_sub(self.count);
        let channels = self.channels.iter().map(|channel| Some(channel.as_str()));
        (first..receipt_seq).zip(channels.chain(std::iter::repeat(None)))
    }
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeKind {
    /// The gate passed it on; told where a receipt was asked for.
    Passed,
    /// The gate filtered it.
    Dropped,
    /// The gate refused it as invalid.
    Rejected,
    /// The gate failed on it until its attempts or its time were used up.
    DeadLettered,
}

/// Headers about dead letters. A letter has the event's own beside them, and keeps its
/// payload byte for byte: everything that a redrive needs.
pub mod dead_letter {
    /// The subject of the input.
    pub const SUBJECT: &str = "eddy-dead-subject";
    /// The position of the input, `{stream}@{epoch}:{seq}`; not `eddy-source`, which an
    /// input that is itself an output brings along.
    pub const SOURCE: &str = "eddy-dead-source";
    /// Why.
    pub const REASON: &str = "eddy-dead-reason";
    /// How often it was tried.
    pub const ATTEMPTS: &str = "eddy-dead-attempts";
    /// Digest of the module that failed.
    pub const DIGEST: &str = "eddy-dead-digest";
    /// What every header of a dead letter's own begins with.
    pub const PREFIX: &str = "eddy-dead-";
    /// Makes the message no letter but the end of one: `redriven` or `dropped`. It stands
    /// on the letter's subject, with the letter's [`SUBJECT`] and [`SOURCE`].
    pub const SETTLED: &str = "eddy-dead-settled";
    /// Who settled it.
    pub const BY: &str = "eddy-dead-by";
    /// On the input that a redrive stored again: the [`SOURCE`] of the letter.
    pub const REDRIVE: &str = "eddy-redrive";
}

/// How somebody settled a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LetterEnd {
    /// Its input was stored again, for the same function.
    Redriven,
    /// Nothing more is to be done with it.
    Dropped,
}

impl LetterEnd {
    /// The end as a header says it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Redriven => "redriven",
            Self::Dropped => "dropped",
        }
    }

    /// Reads what [`Self::as_str`] writes.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Redriven, Self::Dropped]
            .into_iter()
            .find(|end| end.as_str() == text)
    }
}

/// Longest reason that is kept, in bytes; longer ones are cut at a character.
pub const REASON_BYTES_MAX: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_stand_before_their_receipt() {
        let outputs = Outputs {
            count: 3,
            channels: vec!["doc.a".into(), "stats.a".into()],
        };
        let places: Vec<_> = outputs.places(10).collect();
        assert_eq!(
            places,
            [(7, Some("doc.a")), (8, Some("stats.a")), (9, None)]
        );
    }
}
