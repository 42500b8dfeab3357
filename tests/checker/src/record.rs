//! The records that a history is made of: what each party saw, in that party's own words.
//!
//! State: plain values, owned by whoever collects them.
//! Must not know: how they are judged. Bodies are represented by a 64-bit hash that the caller
//! computes, so that a million records fit in memory. A channel is always written
//! `tenant/channel`, for instance `acme/docs.readme`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A stream and a sequence in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// Stream name, for instance `EVENTS-main`.
    pub stream: String,
    /// Sequence, from 1.
    pub seq: u64,
}

impl Place {
    /// The place `seq` in `stream`.
    pub fn new(stream: impl Into<String>, seq: u64) -> Self {
        Self {
            stream: stream.into(),
            seq,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.stream, self.seq)
    }
}

/// A publisher sent an event for the first time. A resend is not a record of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// `tenant/user/client`, each component encoded as in the event id.
    pub publisher: String,
    /// The publisher's counter.
    pub n: u64,
    /// `tenant/channel`.
    pub channel: String,
    /// Hash of the body.
    pub body: u64,
    /// When it was first sent, in microseconds of any clock; for people, never judged.
    pub first_us: u64,
}

/// A publisher received an acknowledgement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acked {
    /// `tenant/user/client`.
    pub publisher: String,
    /// The publisher's counter.
    pub n: u64,
    /// `tenant/channel`.
    pub channel: String,
    /// The stream that the acknowledgement names.
    pub stream: String,
    /// The sequence that the acknowledgement names.
    pub seq: u64,
    /// Whether it said that the event had been stored before.
    pub duplicate: bool,
}

/// A publisher received a refusal.
///
/// A permanent one says that the event is not stored, except for `id_reused` and
/// `outcome_unknown`, which say nothing about that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// `tenant/user/client`.
    pub publisher: String,
    /// The publisher's counter.
    pub n: u64,
    /// `tenant/channel`.
    pub channel: String,
    /// The error code.
    pub code: String,
    /// Whether the refusal invited a resend; then it says nothing about the final outcome.
    pub temporary: bool,
}

/// What a stored message is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// Raw input of a function namespace (`in.>`).
    In,
    /// An event (`ev.>`): a client's own, a function's output, or an outcome.
    Ev,
    /// A dead letter (`rej.>`).
    DeadLetter,
    /// Progress of `Stored::function` on `Stored::lane` (`ck.>`).
    Checkpoint {
        /// The last input sequence that is done with, parked ones excepted.
        input_seq: u64,
        /// The channels that wait, with the first sequence that waits on each.
        parked: Vec<Parked>,
    },
}

/// A channel that waits for a retry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parked {
    /// `tenant/channel`; `tenant/>`: every channel of a tenant.
    pub channel: String,
    /// The first input sequence on the channel that is not done.
    pub seq: u64,
}

/// A message read back from a stream. Each sequence is recorded once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// Stream name.
    pub stream: String,
    /// Sequence in it.
    pub seq: u64,
    /// The lane that the subject names.
    pub lane: u32,
    /// `tenant/channel`; for a dead letter that of its input; empty for a checkpoint.
    pub channel: String,
    /// What it is.
    pub kind: Kind,
    /// A client's event: `tenant/user/client/n`. A function's output:
    /// `function/stream@epoch:seq/ordinal`. Outcomes, dead letters and checkpoints: any.
    pub id: String,
    /// Hash of the body.
    pub body: u64,
    /// The input that a function made this from; `None` for a client's event.
    pub source: Option<Place>,
    /// The function that wrote it; `None` for a client's event.
    pub function: Option<String>,
    /// Which of the input's outputs it is, from 0; required of outputs alone.
    pub ordinal: Option<u32>,
    /// Whether it tells a publisher what became of its event (channel `_outcome.>`).
    pub outcome: bool,
    /// Of an input: its publisher asked to be told when it has passed. Of an outcome: it tells
    /// that.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub receipt: bool,
    /// Of an event that a function's schedule made: which tick it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tick: Option<Tick>,
}

/// A tick of a schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tick {
    /// The function whose schedule it is.
    pub function: String,
    /// When it was due, seconds since 1970.
    pub due: u64,
    /// Its number, from 1.
    pub n: u64,
    /// How many before it were left out.
    pub missed: u64,
}

/// How much of a stream was read back.
///
/// Between `retained_from` and `last_seq` every sequence must be recorded as [`Stored`]; what is
/// below may have been removed by retention. Without this record a stream is taken to have kept
/// everything, and its holes are not looked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamState {
    /// Stream name.
    pub stream: String,
    /// The stream's first sequence when it was read, at the end of the run.
    pub retained_from: u64,
    /// The stream's last sequence when it was read.
    pub last_seq: u64,
}

/// A subscriber received an event. Order within a subscriber and channel is order of arrival.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivered {
    /// Any name that is unique for one continuous view; a view that starts anew is another.
    pub subscriber: String,
    /// `tenant/channel`.
    pub channel: String,
    /// Sequence of the event.
    pub seq: u64,
    /// The previous sequence on the channel, as the frame says.
    pub prev: u64,
    /// Hash of the body.
    pub body: u64,
    /// Event id.
    pub id: String,
}

/// What a subscriber is owed on one channel. A subscriber that left and came back later "from
/// now" has two of these; one that resumed from its position has one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// The subscriber's name in [`Delivered`].
    pub subscriber: String,
    /// `tenant/channel`.
    pub channel: String,
    /// The stream that holds the channel's events.
    pub stream: String,
    /// It is owed what follows this sequence (exclusive; 0 for everything).
    pub from_seq: u64,
    /// It was waited for up to this sequence (inclusive). Later events may arrive or not.
    pub until_seq: u64,
    /// Announced gaps, first and last sequence, both inclusive.
    pub gaps: Vec<(u64, u64)>,
}

/// A record that an independent read-committed consumer found in Kafka.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mirrored {
    /// The stream that the record says it is from.
    pub stream: String,
    /// The sequence that the record says it has.
    pub seq: u64,
    /// Kafka topic.
    pub topic: String,
    /// Kafka partition.
    pub partition: i32,
    /// Kafka offset.
    pub offset: i64,
    /// Record key.
    pub key: String,
    /// `tenant/channel`.
    pub channel: String,
    /// Hash of the value.
    pub body: u64,
    /// Event id.
    pub id: String,
}

/// A stream whose mirror was waited for up to a sequence. Without it nothing is missed in the
/// mirror, so that tests without a bridge need no record of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MirroredStream {
    /// Stream name.
    pub stream: String,
    /// Inclusive.
    pub until_seq: u64,
}

/// A loss that the mirror announced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MirrorGap {
    /// Stream name.
    pub stream: String,
    /// First sequence, inclusive.
    pub from: u64,
    /// Last sequence, inclusive.
    pub to: u64,
}

/// A deployed function: which inputs it owes an answer.
///
/// An input is an `In` message, or an `Ev` one that is no outcome, of `input_stream` on a
/// matching channel from `start_seq` on. Its progress is the last [`Kind::Checkpoint`] of its
/// lane in `output_stream`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Function {
    /// Name, as in `Stored::function`.
    pub name: String,
    /// Where its inputs are.
    pub input_stream: String,
    /// Where it commits.
    pub output_stream: String,
    /// Patterns over `tenant/channel` with NATS wildcards, for instance `acme/docs.>`, `*/docs.*`.
    pub channels: Vec<String>,
    /// The first input sequence that it answers; 1 for all.
    pub start_seq: u64,
    /// Whether an input may end without any stored result (a reactive function that derives
    /// nothing). A gate's publisher is always answered: false.
    pub silent_allowed: bool,
    /// Of a function that is called at stated times: every so many seconds. Its inputs are
    /// its ticks alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every_s: Option<u64>,
    /// What single inputs must end in, where the test knows.
    pub expectation: Option<Vec<Expected>>,
}

/// What one input must end in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expected {
    /// Sequence in the input stream.
    pub input_seq: u64,
    /// How it must end.
    pub verdict: Verdict,
}

/// How an input ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// One output or more.
    Outputs,
    /// An outcome event alone: dropped or rejected.
    Outcome,
    /// A dead letter, with or without an outcome event beside it.
    DeadLetter,
    /// Nothing stored.
    Silent,
}
