//! Why a worker does not start, or ends; why a lane does.

use std::net::SocketAddr;

use bus::BusError;
use bus::directory::StoreError;
use service::fault::FaultError;

use crate::intake::TapError;
use host::HostError;

/// Why a worker does not start, or ends before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// A setting is outside its range.
    #[error("setting {field}: {problem}")]
    Setting {
        /// Which.
        field: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// The switches for tests are malformed, or not allowed here.
    #[error("setting faults")]
    Faults(#[from] FaultError),
    /// NATS is out of reach, or a bucket is missing.
    #[error("nats")]
    Bus(#[from] BusError),
    /// The store was not set up, or its spec cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Health and metrics cannot be served there.
    #[error("cannot listen on {addr}")]
    Health {
        /// The address.
        addr: SocketAddr,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The Wasm host does not start.
    #[error("wasm host")]
    Host(#[from] HostError),
}

impl WorkerError {
    /// Whether only other settings help.
    pub fn is_settings(&self) -> bool {
        matches!(
            self,
            Self::Setting { .. } | Self::Faults(_) | Self::Bus(BusError::Setting { .. })
        )
    }
}

/// Why a lane has ended that should have gone on; whoever claims it anew may succeed.
#[derive(Debug, thiserror::Error)]
pub enum LaneError {
    /// The bus failed.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// What comes to the lane cannot be read.
    #[error("reading: {0}")]
    Tap(#[from] TapError),
}

impl LaneError {
    /// Whether waiting helps.
    pub fn temporary(&self) -> bool {
        match self {
            Self::Bus(error) => error.temporary(),
            Self::Tap(error) => error.temporary(),
        }
    }
}
