//! Why a stack could not be started or stopped. Owns no state.

use std::path::PathBuf;

use auth::AuthError;
use bus::BusError;
use bus::bootstrap::BootstrapError;

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
    /// The store could not be set up.
    #[error(transparent)]
    Bootstrap(#[from] BootstrapError),
    /// A function was refused.
    #[error("function {name} cannot be deployed")]
    Deploy {
        /// Its name.
        name: &'static str,
        /// Why.
        source: control::DeployError,
    },
    /// An edge node did not start.
    #[error("an edge node cannot start")]
    Edge(#[from] edge::EdgeError),
    /// The worker did not start.
    #[error("the worker cannot start")]
    Worker(#[from] workers::WorkerError),
    /// The bridge did not start.
    #[error("the bridge cannot start")]
    Bridge(#[from] bridge::BridgeError),
    /// Something started, but does not serve in time.
    #[error("{what} did not become ready within {seconds} s")]
    NotReady {
        /// What.
        what: String,
        /// How long it was waited for.
        seconds: u64,
    },
    /// A blocking task was cut off, because the process is ending.
    #[error("starting was interrupted")]
    Interrupted(#[source] tokio::task::JoinError),
}
