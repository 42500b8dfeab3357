//! What a connection asks of the model, and what it is answered. Plain data.

use bytes::Bytes;
use serde_json::{Map, Value};

use super::message::Message;
use super::server::Ack;
use crate::details::StreamDetails;
use crate::error::BusError;
use protocol::bus::Stored;

/// One request.
#[derive(Debug)]
pub(super) enum Request {
    /// Stores a message in whichever stream takes its subject.
    Publish(Message),
    /// The `n`-th message of a batch; the last one commits.
    Stage {
        id: u128,
        n: usize,
        last: bool,
        message: Message,
    },
    /// Without an answer.
    Core(Message),
    /// Answered when it has arrived.
    Flush,
    /// From its arrival on, messages on a subject are delivered.
    Subscribe {
        id: u64,
        filter: String,
    },
    Unsubscribe {
        id: u64,
    },
    /// Reads from the leader.
    Lead {
        stream: String,
        read: Read,
    },
    /// Reads from whoever answers.
    Direct {
        stream: String,
        read: Read,
    },
    Create {
        name: String,
        config: Map<String, Value>,
    },
    Change {
        name: String,
        config: Map<String, Value>,
    },
    Delete {
        name: String,
    },
    PutObject {
        store: String,
        name: String,
        bytes: Bytes,
    },
    GetObject {
        store: String,
        name: String,
    },
    RemoveObject {
        store: String,
        name: String,
    },
}

/// What to read of a stream.
#[derive(Debug)]
pub(super) enum Read {
    At(u64),
    LastOn(String),
    /// The first on a filter at or after a sequence.
    NextOn(String, u64),
    /// The first on a filter at or after a time.
    FromTime(String, u64),
    /// Settings and state.
    Details,
    /// A run of events, at most so many events and bytes.
    Run {
        filter: String,
        from: u64,
        limit: usize,
        bytes_max: usize,
    },
    /// The last sequence on each subject.
    LastSeqs(Vec<String>),
    /// The last message of each subject that a filter covers.
    LastEach(String),
    /// The last sequence on a subject at or before another one; 0: none.
    LastUntil(String, u64),
}

/// The answer.
#[derive(Debug)]
pub(super) enum Reply {
    Done,
    Ack(Ack),
    Event(Option<Stored>),
    Details(StreamDetails),
    /// Events, and how many more match.
    Run(Vec<Stored>, u64),
    Seqs(Vec<(String, u64)>),
    Bytes(Bytes),
}

/// A reply, or why there is none.
pub(super) type Answer = Result<Reply, BusError>;
