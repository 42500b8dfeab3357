//! Every way in which the bus says no, named for what the caller does about it.

use protocol::stream::StreamName;

use crate::codes::{Class, class};

/// The code of "storing failed", also of a stream that is full.
const STORE_FAILED: u64 = 10_077;

/// Why something on the bus did not happen.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// A setting cannot be used, or a file that it names; other settings help.
    #[error("{problem}")]
    Setting {
        /// Which one, and what is wrong with it.
        problem: String,
    },
    /// The first connection failed; temporary.
    #[error("cannot connect to nats")]
    Connect(#[source] async_nats::ConnectError),
    /// No answer in time: it may or may not have happened; temporary.
    #[error("no answer from jetstream in time, the outcome is unknown")]
    Timeout,
    /// Not connected: nothing was sent; temporary.
    #[error("not connected to nats, nothing was sent")]
    Disconnected,
    /// No stream takes this subject, or the stream does not exist or has no leader
    /// at the moment; temporary.
    #[error("no stream answers")]
    NoStream,
    /// Replies of a run were lost on their way; temporary, nothing of it may be used.
    #[error("replies of nats are missing")]
    Incomplete,
    /// The answer is older than what is known already: it came from a leader that has
    /// lost its place and does not know it; temporary.
    #[error("an answer of nats is older than what is known")]
    Behind,
    /// The stream has reached its limit of bytes; temporary, as age frees it.
    #[error("the stream is full")]
    StreamFull,
    /// A batch held an id that the stream already has; nothing of it was stored.
    #[error("the batch holds an id that is already stored")]
    Duplicate,
    /// The expected last sequence is not the last; nothing was stored.
    #[error("the expected last sequence has been passed")]
    GuardRefused,
    /// Too many batches are open on the stream, also after retries; temporary,
    /// nothing was stored.
    #[error("too many batches are open on the stream")]
    BatchBusy,
    /// The server gave the batch up before its commit (a break of the connection or
    /// ten idle seconds); temporary, nothing was stored.
    #[error("the batch was given up by the server, nothing was stored")]
    BatchAbandoned,
    /// A batch is empty or too long.
    #[error("a batch has 1 to {max} events, this one has {events}")]
    BatchSize {
        /// Its events.
        events: usize,
        /// The most.
        max: usize,
    },
    /// More was asked for in one call than the bus allows.
    #[error("{field} is {value}, at most {max} are allowed")]
    Limit {
        /// What.
        field: &'static str,
        /// Its value.
        value: usize,
        /// The most.
        max: usize,
    },
    /// Headers and payload together are over the server's limit.
    #[error("headers and payload are over the server's limit of {max} bytes")]
    TooLarge {
        /// The limit in bytes.
        max: usize,
    },
    /// A header's name or value cannot be sent.
    #[error("header {name:?} cannot be sent")]
    Header {
        /// Its name.
        name: String,
    },
    /// A key cannot be used in a bucket.
    #[error("key {key:?} is not made of letters, digits and -_=./")]
    Key {
        /// The key.
        key: String,
    },
    /// The stream, bucket, message or object does not exist.
    #[error("not found")]
    NotFound,
    /// The key exists already.
    #[error("the key exists")]
    Exists,
    /// The key has another revision.
    #[error("the key has another revision")]
    Conflict,
    /// The stream was deleted and made again, or rolled back, while it was read.
    #[error("stream {stream} is not the stream it was")]
    StreamChanged {
        /// The stream.
        stream: String,
    },
    /// A module's bytes are not those of its digest.
    #[error("the module's bytes do not match its digest")]
    Digest,
    /// An answer that the bus cannot read.
    #[error("an answer of nats is malformed: {what}")]
    Malformed {
        /// Which part of it.
        what: &'static str,
    },
    /// Any other refusal of JetStream.
    #[error("jetstream refuses: {description} ({code})")]
    Api {
        /// JetStream's error code.
        code: u64,
        /// Whether the same call may succeed later.
        temporary: bool,
        /// Its description.
        description: String,
    },
    /// The object store failed.
    #[error("object store")]
    ObjectStore(#[source] async_nats::Error),
}

impl BusError {
    /// Names an error of JetStream by its own code, or by a bare status.
    pub(crate) fn from_api(code: u64, description: String) -> Self {
        Self::from_answer(code, code, description)
    }

    /// Names an error of JetStream by its own code and the status beside it.
    pub(crate) fn from_answer(code: u64, status: u64, description: String) -> Self {
        match class(code, status) {
            Class::Guard => Self::GuardRefused,
            Class::Duplicate => Self::Duplicate,
            Class::BatchBusy => Self::BatchBusy,
            Class::BatchAbandoned => Self::BatchAbandoned,
            Class::Missing => Self::NotFound,
            Class::NotNow if code == STORE_FAILED && description.contains("maximum") => {
                Self::StreamFull
            }
            class => Self::Api {
                code,
                temporary: class == Class::NotNow,
                description,
            },
        }
    }

    /// A stream name in a [`Self::StreamChanged`].
    pub(crate) fn changed(stream: &str) -> Self {
        Self::StreamChanged {
            stream: stream.into(),
        }
    }

    /// Whether the same call may succeed later.
    pub fn temporary(&self) -> bool {
        match self {
            Self::Connect(_)
            | Self::Timeout
            | Self::Disconnected
            | Self::NoStream
            | Self::Incomplete
            | Self::Behind
            | Self::StreamFull
            | Self::BatchBusy
            | Self::BatchAbandoned
            | Self::ObjectStore(_) => true,
            Self::Api { temporary, .. } => *temporary,
            _ => false,
        }
    }

    /// Whether what was asked for may have happened all the same.
    pub fn outcome_unknown(&self) -> bool {
        matches!(
            self,
            Self::Timeout | Self::ObjectStore(_) | Self::Malformed { .. }
        )
    }
}

/// A stream as the server names it; [`BusError::Malformed`] for a foreign one.
pub(crate) fn stream_name(text: &str) -> Result<StreamName, BusError> {
    StreamName::parse(text).ok_or(BusError::Malformed { what: "stream" })
}
