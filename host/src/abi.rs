//! The packed batch and its reply as they cross into a guest: the Rust side of
//! `functions/wit/types.wit`, field by field in the same order.
//!
//! Owns nothing. Must not know what a lane, a stream or a spec is.

use protocol::state::StateError;
use wasmtime::component::{ComponentType, Lift, Lower};

/// A range of the arena of the same batch or reply.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ComponentType, Lower, Lift)]
#[component(record)]
pub struct Span {
    /// First byte.
    pub offset: u32,
    /// Length in bytes; with 0 the offset is not looked at.
    pub length: u32,
}

/// One event of a batch.
#[derive(Debug, Clone, Copy, ComponentType, Lower)]
#[component(record)]
pub struct EventRef {
    /// Sequence in the input stream.
    pub seq: u64,
    /// Store time, microseconds since 1970.
    #[component(name = "time-us")]
    pub time_us: u64,
    /// From 1.
    pub attempt: u32,
    /// Tenant.
    pub tenant: Span,
    /// Channel.
    pub channel: Span,
    /// Event id.
    pub id: Span,
    /// User who published.
    pub publisher: Span,
    /// Content type; empty when none was named.
    #[component(name = "content-type")]
    pub content_type: Span,
    /// The publisher's headers, packed.
    pub headers: Span,
    /// The data.
    pub data: Span,
}

/// What a guest is called with. Lowered from behind an `Arc`, so that the buffers
/// are lent to the call and come back afterwards without a copy of our own.
#[derive(Debug, Default, ComponentType, Lower)]
#[component(record)]
pub struct Batch {
    /// The index.
    pub events: Vec<EventRef>,
    /// The bytes.
    pub arena: Vec<u8>,
}

/// What is to happen with one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ComponentType, Lower, Lift)]
#[component(enum)]
#[repr(u8)]
pub enum Verdict {
    /// Done.
    #[component(name = "ack")]
    Ack,
    /// Filtered out.
    #[component(name = "drop")]
    Drop,
    /// Poison.
    #[component(name = "reject")]
    Reject,
    /// Not now.
    #[component(name = "retry")]
    Retry,
    /// The function cannot go on.
    #[component(name = "halt")]
    Halt,
}

/// The outcome of one event.
#[derive(Debug, Clone, Copy, ComponentType, Lift)]
#[component(record)]
pub struct OutcomeRef {
    /// What.
    pub verdict: Verdict,
    /// For a retry: milliseconds, 0 for the host's own back-off.
    #[component(name = "delay-ms")]
    pub delay_ms: u32,
    /// Why.
    pub reason: Span,
}

/// One emission.
#[derive(Debug, Clone, Copy, ComponentType, Lift)]
#[component(record)]
pub struct EmitRef {
    /// Index of the event that it comes from.
    pub source: u32,
    /// Where to; empty for the input's own channel.
    pub channel: Span,
    /// Content type; empty for the input's.
    #[component(name = "content-type")]
    pub content_type: Span,
    /// Headers, packed.
    pub headers: Span,
    /// The data.
    pub data: Span,
}

/// What a guest answers.
#[derive(Debug, ComponentType, Lift)]
#[component(record)]
pub struct Reply {
    /// One for each event.
    pub outcomes: Vec<OutcomeRef>,
    /// In input order.
    pub emits: Vec<EmitRef>,
    /// The bytes.
    pub arena: Vec<u8>,
}

/// How much a log line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ComponentType, Lower, Lift)]
#[component(enum)]
#[repr(u8)]
pub enum Level {
    /// Everything.
    #[component(name = "trace")]
    Trace,
    /// For those who look into the function.
    #[component(name = "debug")]
    Debug,
    /// What usually happens.
    #[component(name = "info")]
    Info,
    /// What should not happen but was dealt with.
    #[component(name = "warn")]
    Warn,
    /// What went wrong.
    #[component(name = "error")]
    Error,
}

/// Why a value is not remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ComponentType, Lower, Lift)]
#[component(enum)]
#[repr(u8)]
pub enum Problem {
    /// The key is empty or too long.
    #[component(name = "key")]
    Key,
    /// The channel's memory would have too many keys or bytes.
    #[component(name = "full")]
    Full,
}

impl From<StateError> for Problem {
    fn from(error: StateError) -> Self {
        match error {
            StateError::Key => Self::Key,
            StateError::Full => Self::Full,
        }
    }
}
