//! Every way in which a read is refused or ends early, and its gRPC status.

use std::time::Duration;

use auth::AuthError;
use bus::BusError;
use rdkafka::error::KafkaError;
use tonic::Status;

use crate::kafka::watermark::ObserveError;

/// Why a read is refused or ends early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReplayFault {
    #[error("metadata authorization must be Bearer and a token")]
    NoToken,
    #[error("the token is refused: {0}")]
    Token(#[from] AuthError),
    #[error("the token, or every token of its user, is revoked")]
    Revoked,
    #[error("what is revoked is not known yet; try again")]
    RevocationsUnknown,
    #[error("the token has expired while reading; go on with the last resume token")]
    Expired,
    #[error("the token needs the scope {scope}")]
    Scope { scope: String },
    #[error("{field}: {problem}")]
    Request {
        field: &'static str,
        problem: String,
    },
    #[error("the resume token is of another {field}: it has {found}, this is {expected}")]
    Stale {
        field: &'static str,
        found: String,
        expected: String,
    },
    #[error("kafka holds records of another epoch: {found}, this is {expected}")]
    ForeignRecord { found: String, expected: String },
    #[error("a record in kafka is not readable: partition {partition}, offset {offset}")]
    Record { partition: i32, offset: i64 },
    #[error("the mirror has {mirrored} of {stored}; try again")]
    Lag { mirrored: u64, stored: u64 },
    #[error("{max} reads are under way; try again later")]
    TooMany { max: usize },
    #[error("{max} reads of this tenant are under way; try again later")]
    TenantTooMany { max: usize },
    #[error("nothing was taken for {} s; go on with the last resume token", after.as_secs())]
    Stalled { after: Duration },
    #[error("the start is sequence {asked}, past the stream's end, which is {last}")]
    PastEnd { asked: u64, last: u64 },
    #[error("kafka does not know topic {topic}, which is mirrored; try again")]
    TopicUnknown { topic: String },
    #[error("kafka: {0}; try again")]
    Kafka(#[from] KafkaError),
    #[error("kafka: {0}; try again")]
    Observe(#[from] ObserveError),
    #[error("jetstream: {0}")]
    Bus(#[from] BusError),
    #[error("the system has no more threads; try again later")]
    Thread,
    #[error("the bridge shuts down; go on with the last resume token on another")]
    Shutdown,
    /// Nobody hears this: the client has gone.
    #[error("the client has gone")]
    Gone,
}

impl From<ReplayFault> for Status {
    fn from(fault: ReplayFault) -> Self {
        use ReplayFault as F;
        let text = fault.to_string();
        match fault {
            F::Token(error) if error.temporary() => Self::unavailable(text),
            F::RevocationsUnknown => Self::unavailable(text),
            F::NoToken | F::Token(_) | F::Expired | F::Revoked => Self::unauthenticated(text),
            F::Scope { .. } => Self::permission_denied(text),
            F::Request { .. } => Self::invalid_argument(text),
            F::Stale { .. } | F::ForeignRecord { .. } => Self::failed_precondition(text),
            F::PastEnd { .. } => Self::out_of_range(text),
            F::Record { .. } => Self::data_loss(text),
            F::TooMany { .. } | F::TenantTooMany { .. } | F::Stalled { .. } | F::Thread => {
                Self::resource_exhausted(text)
            }
            F::Bus(error) if !error.temporary() => Self::internal(text),
            F::Lag { .. }
            | F::TopicUnknown { .. }
            | F::Kafka(_)
            | F::Observe(_)
            | F::Bus(_)
            | F::Shutdown => Self::unavailable(text),
            F::Gone => Self::cancelled(text),
        }
    }
}
