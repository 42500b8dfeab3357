//! How a run of a shard ends, and what follows from each error. Owns no state.

use bus::BusError;

use super::progress::ProgressError;
use super::topics::Trouble;
use crate::kafka::admin::TopicError;
use crate::kafka::fault::{KafkaFault, Verdict};

/// Why a run ended.
#[derive(Debug)]
pub(super) enum End {
    /// The service stops.
    Shutdown,
    /// Somebody else may work on the shard.
    LeaseLost,
    /// Kafka has ended this producer's epoch, or the progress is not what this run has
    /// left: somebody else works on the shard, or the transaction has lasted too long.
    Fenced(RunError),
    /// A new run starts from what the progress record says.
    Restart(RunError),
    /// Only a person can say how to go on.
    Halt(RunError),
}

/// What goes wrong in a run.
#[derive(Debug, thiserror::Error)]
pub(super) enum RunError {
    #[error("the stream cannot be read")]
    Bus(#[from] BusError),
    #[error(transparent)]
    Kafka(#[from] KafkaFault),
    #[error(transparent)]
    Progress(#[from] ProgressError),
    #[error(transparent)]
    Topic(#[from] TopicError),
    #[error("{0}; on_broken_topic is stop")]
    Broken(Trouble),
    #[error("the mirror's progress is lost: {0}")]
    ProgressLost(Trouble),
    #[error("another writer has mirrored on meanwhile")]
    Superseded,
    #[error("no thread for the producer")]
    Thread(#[source] std::io::Error),
    #[error("the writer ended without a reason")]
    Ended,
    #[error("stream {stream} has epoch {found}, the mirror holds epoch {recorded}")]
    Epoch {
        stream: String,
        recorded: String,
        found: String,
    },
    #[error(
        "stream {stream} was rolled back or made anew: sequence {seq} is not what was mirrored"
    )]
    RolledBack { stream: String, seq: u64 },
    #[error("sequences {from} to {to} are missing in stream {stream}, and on_gap is stop")]
    Gap { stream: String, from: u64, to: u64 },
}

impl RunError {
    /// What failed, in a word, for counting.
    pub(super) fn failed(&self) -> &'static str {
        match self {
            Self::Bus(_) => "nats",
            Self::Kafka(_) => "producer",
            Self::Progress(_) => "progress",
            Self::Topic(_) => "topics",
            Self::Superseded => "superseded",
            Self::Thread(_) | Self::Ended => "writer",
            // These halt, unless somebody makes them restart.
            Self::Broken(_)
            | Self::ProgressLost(_)
            | Self::Epoch { .. }
            | Self::RolledBack { .. }
            | Self::Gap { .. } => "halted",
        }
    }

    /// What follows from it.
    pub(super) fn end(self) -> End {
        match &self {
            Self::Kafka(fault) if fault.verdict == Verdict::Fenced => End::Fenced(self),
            Self::Superseded => End::Fenced(self),
            Self::Bus(BusError::StreamChanged { .. })
            | Self::Progress(ProgressError::Malformed { .. })
            | Self::Broken(_)
            | Self::ProgressLost(_)
            | Self::Epoch { .. }
            | Self::RolledBack { .. }
            | Self::Gap { .. } => End::Halt(self),
            _ => End::Restart(self),
        }
    }
}
