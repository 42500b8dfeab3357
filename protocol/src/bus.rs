//! What goes into streams and comes out of them, as plain data: machines handle it
//! without knowing who carries it.

use bytes::Bytes;

use crate::header::Headers;
use crate::stream::StreamName;
use crate::subject::Subject;

/// Most events of an atomic batch: the limit of nats-server 2.15.
pub const BATCH_EVENTS_MAX: usize = 1_000;

/// A condition on a publish, checked by the stream's leader when it stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// The last sequence on the event's own subject is this; 0: there is none.
    LastOnSubject(u64),
    /// The last sequence of the stream is this.
    LastInStream(u64),
}

/// One event to publish.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// Where to.
    pub subject: Subject,
    /// Its headers; `Nats-*` never among them.
    pub headers: Headers,
    /// Its bytes.
    pub payload: Bytes,
    /// The id by which the stream knows a duplicate, for its duplicate window.
    pub msg_id: Option<String>,
    /// A condition.
    pub expect: Option<Expect>,
}

/// The stream has stored an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PubAck {
    /// Which stream.
    pub stream: StreamName,
    /// Under which sequence; of the first one when it is a duplicate.
    pub seq: u64,
    /// It was already stored; nothing was added.
    pub duplicate: bool,
}

/// The stream has stored a batch: all of it, contiguously, in input order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchAck {
    /// Which stream.
    pub stream: StreamName,
    /// Sequence of the batch's first event.
    pub first_seq: u64,
    /// Sequence of its last.
    pub last_seq: u64,
}

/// What a stream adds to an event that it republishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Republished {
    /// The event's sequence.
    pub stream_seq: u64,
    /// The sequence before it on the same subject; 0: there is none, or it has gone.
    pub prev: u64,
    /// When it was stored, microseconds since 1970.
    pub time_us: u64,
}

/// An event as a stream holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its sequence.
    pub seq: u64,
    /// When it was stored, microseconds since 1970 (truncated); the same number
    /// whichever way it is read.
    pub time_us: u64,
    /// Its subject.
    pub subject: String,
    /// Its headers, without `Nats-*`, in the order of their names.
    pub headers: Headers,
    /// Its bytes.
    pub payload: Bytes,
}

/// Some events of one filter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chunk {
    /// The events, ascending.
    pub events: Vec<Stored>,
    /// Whether the server that answered has more of them.
    pub more: bool,
}

/// A stream's state, from its leader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamState {
    /// First sequence kept; last + 1 when the stream is empty.
    pub first_seq: u64,
    /// Last sequence given.
    pub last_seq: u64,
    /// When the first event kept was stored, microseconds since 1970; 0 when empty.
    pub first_time_us: u64,
    /// When the stream was created, microseconds since 1970.
    pub created_us: u64,
    /// Bytes stored.
    pub bytes: u64,
    /// Most bytes that it keeps; `None`: as many as the disk takes.
    pub max_bytes: Option<u64>,
    /// How long events are kept; zero: for ever.
    pub max_age: std::time::Duration,
    /// How long ids are remembered.
    pub duplicate_window: std::time::Duration,
}
