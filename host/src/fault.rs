//! What can go wrong in a call of a guest.
//!
//! Owns nothing. A [`Fault`] belongs to the events of the call and costs one of
//! them an attempt; [`Broken`] belongs to the function and costs no event
//! anything.

/// Why a call was discarded as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The guest trapped.
    #[error("the function trapped: {0}")]
    Trap(String),
    /// The guest used up its deadline.
    #[error("the function ran for longer than {limit_ms} ms")]
    Deadline {
        /// Its limit, milliseconds of processor time.
        limit_ms: u64,
    },
    /// The guest trapped after it was refused memory.
    #[error("the function needs more than {limit_bytes} bytes of memory")]
    Memory {
        /// Its limit, bytes.
        limit_bytes: usize,
    },
    /// The guest's reply breaks the contract.
    #[error("the function's reply is refused: {0}")]
    Reply(#[from] ReplyFault),
}

impl Fault {
    /// The fault's name in metrics.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Trap(_) => "trap",
            Self::Deadline { .. } => "deadline",
            Self::Memory { .. } => "memory",
            Self::Reply(_) => "reply",
        }
    }
}

/// Which rule of `functions/wit/types.wit` a reply breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplyFault {
    /// Not one outcome for each event.
    #[error("{found} outcomes for {events} events")]
    Outcomes {
        /// Outcomes in the reply.
        found: usize,
        /// Events in the batch.
        events: usize,
    },
    /// A span reaches outside the arena.
    #[error("the {field} of entry {index} reaches outside the arena")]
    Span {
        /// Whose span.
        field: &'static str,
        /// Index of the outcome or emission.
        index: usize,
    },
    /// An emission's source is no event, goes backwards or was not acknowledged.
    #[error("emission {index} names event {source_index} as its source, which {problem}")]
    Source {
        /// Index of the emission.
        index: usize,
        /// The index it names.
        source_index: u32,
        /// What is wrong with that.
        problem: &'static str,
    },
    /// A field of an emission is malformed.
    #[error("the {field} of emission {index} is not valid")]
    Field {
        /// Which field.
        field: &'static str,
        /// Index of the emission.
        index: usize,
    },
    /// An emission to a channel that the function was not granted.
    #[error("emission {index} goes to {channel:?}, which the function may not emit to")]
    Grant {
        /// Index of the emission.
        index: usize,
        /// The channel.
        channel: String,
    },
    /// An event that is not acknowledged has written what is to be remembered.
    #[error("event {index} is not acknowledged and has not taken back what it has written")]
    Remembered {
        /// Index of the event.
        index: usize,
    },
    /// More than a limit allows.
    #[error("{field} is {found}, at most {max} is allowed")]
    Limit {
        /// The limit's name.
        field: &'static str,
        /// What the reply has.
        found: usize,
        /// The limit.
        max: usize,
    },
}

/// Why a function cannot be called at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// The guest refuses its configuration, or fails before its first batch. Only
    /// another spec helps.
    #[error("the function does not start: {0}")]
    Init(String),
    /// No instance is free; temporary.
    #[error("no instance can be made now: {0}")]
    Unavailable(String),
    /// Its calls fail, and others use the thread; temporary.
    #[error("the function rests after a call that failed")]
    Rests,
}
