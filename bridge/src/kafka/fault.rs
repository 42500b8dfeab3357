//! What Kafka refuses, reduced to what the mirror does about it.

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

/// Whether a reader's error is an outage that librdkafka itself gets over.
pub(crate) fn is_outage(error: &KafkaError) -> bool {
    let codes = [
        Code::AllBrokersDown,
        Code::BrokerTransportFailure,
        Code::Resolve,
        Code::OperationTimedOut,
        Code::RequestTimedOut,
        Code::NotLeaderForPartition,
        Code::LeaderNotAvailable,
    ];
    error
        .rdkafka_error_code()
        .is_some_and(|code| codes.contains(&code))
}

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
    /// The producer's epoch is over: another producer with the same transactional id
    /// has begun, or the broker has ended a transaction that lasted too long. Kafka's
    /// answer is the same for both; who holds the lease tells them apart.
    Fenced,
    /// The record itself can never be written; the producer is as it was.
    Record,
    /// Anything else, time-outs with unknown outcome included: this producer is
    /// used no more; a new one starts from what the progress record says.
    Restart,
}
