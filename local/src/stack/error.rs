//! Why a stack could not be started or stopped. Owns no state.

use std::path::PathBuf;

use auth::AuthError;
use bus::BusError;

/// A failure of the stack; the sources say more.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StackError {
    /// A prerequisite is missing, a server cannot be fetched or started.
    #[error(transparent)]
    Servers(#[from] devstack::DevstackError),
    /// A function has not been built.
    #[error("the function {} has not been built", path.display())]
    Function {
        /// Where it should be.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The token secret of the data folder cannot be read or written.
    #[error("the token secret {} cannot be used", path.display())]
    SecretFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The token secret is not acceptable.
    #[error(transparent)]
    Secret(#[from] AuthError),
    /// A port is taken. Temporary, or another must be chosen.
    #[error("port {port} cannot be used")]
    Port {
        /// The port.
        port: u16,
        /// What the system said.
        source: std::io::Error,
    },
    /// NATS failed.
    #[error("nats")]
    Bus(#[from] BusError),
    /// A service cannot be had.
    #[error(transparent)]
    Instance(crate::instance::InstanceError),
    /// A blocking task was cut off, because the process is ending.
    #[error("starting was interrupted")]
    Interrupted(#[source] tokio::task::JoinError),
}
