//! Why something is not configured, deployed or taken back. Owns nothing.

use bus::BusError;
use bus::bootstrap::BootstrapError;
use host::{CheckError, HostError};
use protocol::spec::SpecError;

use crate::mirror::MirrorError;

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// A field is not accepted; only another value helps.
    #[error(transparent)]
    Refused(#[from] SpecError),
    /// The module cannot be used, or does not start with this configuration.
    #[error("module")]
    Module(#[from] CheckError),
    /// Modules cannot be tried on this machine.
    #[error("the host")]
    Host(#[from] HostError),
    /// What is stored is not readable by this program.
    #[error("what is stored under {key} is not readable: {problem}")]
    Stored {
        /// Its key.
        key: String,
        /// What is wrong.
        problem: String,
    },
    /// There is no such thing.
    #[error("there is no {what}")]
    Missing {
        /// What was looked for.
        what: String,
    },
    /// It was to be made, and is there already, and different; nothing was changed.
    #[error("{what} is there already, and different")]
    Exists {
        /// What.
        what: String,
    },
    /// A store is not made, changed or removed.
    #[error("the store")]
    Store(#[from] BootstrapError),
    /// Somebody else changed it at the same moment; temporary, and nothing was changed.
    #[error("{what} was changed by somebody else at the same moment")]
    Conflict {
        /// What.
        what: String,
    },
    /// One of several things failed.
    #[error("{what}")]
    Of {
        /// Which.
        what: String,
        /// Why.
        source: Box<ControlError>,
    },
    /// The mirror does not say what it holds.
    #[error("the mirror")]
    Mirror(#[from] MirrorError),
    /// The bus failed.
    #[error("nats")]
    Bus(#[from] BusError),
}

impl ControlError {
    /// A field that is not accepted.
    pub(crate) fn refused(field: &'static str, problem: impl Into<String>) -> Self {
        Self::Refused(SpecError {
            field,
            problem: problem.into(),
        })
    }

    /// A failed write: one that lost against another's is a conflict about `what`.
    pub(crate) fn written(error: BusError, what: impl Into<String>) -> Self {
        match error {
            BusError::Exists | BusError::Conflict => Self::Conflict { what: what.into() },
            error => Self::Bus(error),
        }
    }

    /// The same, of one of several things.
    pub(crate) fn of(self, what: impl Into<String>) -> Self {
        Self::Of {
            what: what.into(),
            source: Box::new(self),
        }
    }

    /// Whether the same call may succeed later.
    pub fn temporary(&self) -> bool {
        match self {
            Self::Conflict { .. } => true,
            Self::Bus(error) | Self::Store(BootstrapError::Bus(error)) => error.temporary(),
            Self::Mirror(error) => error.temporary,
            Self::Of { source, .. } => source.temporary(),
            _ => false,
        }
    }
}
