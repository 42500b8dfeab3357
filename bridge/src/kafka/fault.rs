//! What Kafka refuses, reduced to what the mirror does about it.

/// An error of a producer call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("kafka {operation}: {text} ({name})")]
pub(crate) struct KafkaFault {
    /// The call.
    pub operation: &'static str,
    /// Kafka's name of the error.
    pub name: String,
    /// Its text.
    pub text: String,
    /// What follows from it.
    pub verdict: Verdict,
}

/// What follows from an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Another producer with the same transactional id has begun: this one must end.
    Fenced,
    /// The record itself can never be written.
    Record,
    /// Anything else, time-outs with unknown outcome included: this producer is
    /// used no more; a new one starts from what the progress record says.
    Restart,
}
