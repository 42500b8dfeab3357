//! Why a worker does not start, or ends.

use bus::BusError;
use protocol::name::StoreName;
use service::fault::FaultError;

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
    /// The store was not set up.
    #[error("store {store} has no spec in CONFIG: run the bootstrap first")]
    NoStore {
        /// Its name.
        store: StoreName,
    },
    /// The store's spec cannot be read.
    #[error("the spec of store {store} is not readable: {problem}")]
    Spec {
        /// Its name.
        store: StoreName,
        /// What is wrong.
        problem: String,
    },
    /// The Wasm host does not start.
    #[error("wasm host")]
    Host(#[from] HostError),
    /// The bucket with the functions was removed.
    #[error("the bucket FUNCTIONS is gone")]
    FunctionsGone,
}
