//! Finds or fetches the pinned servers. Owns the cache folder's contents (under
//! a lock per server, so that several processes may fetch at once); starts no
//! server.

mod cache;
mod kafka;
mod nats;

use std::fmt;
use std::path::PathBuf;

use crate::config::Config;
use crate::error::{DevstackError, Result};
use crate::prerequisites::{self, Scope};

pub use kafka::KafkaRuntime;

/// The NATS server that everything is developed and tested with.
pub const NATS_VERSION: &str = "2.15.1";
/// The Kafka that everything is developed and tested with.
pub const KAFKA_VERSION: &str = "4.1.1";

/// What is happening, for a person who waits. `Display` gives one line.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// Another process is fetching the same server; we wait for it.
    Waiting {
        /// Which server.
        component: &'static str,
    },
    /// A step of the work has begun.
    Step {
        /// Which server.
        component: &'static str,
        /// The step.
        text: String,
    },
    /// The server can be started.
    Ready {
        /// Which server.
        component: &'static str,
        /// Where it is.
        path: PathBuf,
    },
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Progress::Waiting { component } => {
                write!(
                    f,
                    "{component}: waiting for another process that fetches it"
                )
            }
            Progress::Step { component, text } => write!(f, "{component}: {text}"),
            Progress::Ready { component, path } => write!(f, "{component}: {}", path.display()),
        }
    }
}

/// Receives progress; called from the fetching thread, and should return soon.
pub type OnProgress<'a> = &'a dyn Fn(Progress);

/// Both servers, ready to be started.
#[derive(Debug, Clone)]
pub struct Servers {
    /// The `nats-server` binary.
    pub nats: PathBuf,
    /// Kafka's classes and the Java to run them.
    pub kafka: KafkaRuntime,
}

/// Checks prerequisites, then finds or fetches both servers.
///
/// # Errors
/// Missing programs (all of them, before anything is fetched), a failed or
/// refused download.
pub fn all(config: &Config, progress: OnProgress<'_>) -> Result<Servers> {
    prerequisites::check(config, Scope::Servers).map_err(DevstackError::Missing)?;
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
