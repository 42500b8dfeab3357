//! Finds or fetches the pinned servers. Owns the cache folder's contents (under
//! a lock per server, so that several processes may fetch at once); starts no
//! server.

mod cache;
mod kafka;
mod nats;
mod progress;

use std::path::PathBuf;

use crate::config::Config;
use crate::error::Result;

pub use kafka::KafkaRuntime;
pub use progress::{OnProgress, Progress};

/// Both servers, ready to be started.
#[derive(Debug, Clone)]
pub struct Servers {
    /// The `nats-server` binary.
    pub nats: PathBuf,
    /// Kafka's classes and the Java to run them.
    pub kafka: KafkaRuntime,
}

/// Finds or fetches both servers; see [`crate::prerequisites::check`] for what that
/// needs.
///
/// # Errors
/// A missing program, a failed or refused download.
pub fn all(config: &Config, progress: OnProgress<'_>) -> Result<Servers> {
    Ok(Servers {
        nats: nats(config, progress)?,
        kafka: kafka(config, progress)?,
    })
}

/// The `nats-server` binary: one of the right version on the search path, else
/// the cached one, which is fetched first if need be.
///
/// # Errors
/// As [`all`].
pub fn nats(config: &Config, progress: OnProgress<'_>) -> Result<PathBuf> {
    nats::find_or_fetch(config, progress)
}

/// Kafka, fetched into the cache if need be.
///
/// # Errors
/// As [`all`].
pub fn kafka(config: &Config, progress: OnProgress<'_>) -> Result<KafkaRuntime> {
    kafka::find_or_fetch(config, progress)
}

/// Whether [`nats`] has nothing to download.
pub(crate) fn nats_is_present(config: &Config) -> bool {
    nats::installed(config).is_some() || nats::is_cached(config)
}

/// Whether [`kafka`] has nothing to download.
pub(crate) fn kafka_is_cached(config: &Config) -> bool {
    kafka::is_cached(config)
}
