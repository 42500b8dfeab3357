//! The shape of every service's `main`: logs, settings, signals, exit codes.
//!
//! Owns the runtime. Knows no service: what is served is handed in.

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::chain::Chain;
use crate::shutdown::Shutdown;
use crate::{settings, telemetry};

/// Settings that are refused, before anything is bound: `EX_USAGE` of sysexits.
pub const EXIT_SETTINGS: u8 = 64;
/// An address, NATS or Kafka is not available, now or any more: `EX_UNAVAILABLE` of
/// sysexits. A supervisor should start the process again.
pub const EXIT_UNAVAILABLE: u8 = 69;

/// Why a service ended before it was told to.
#[derive(Debug)]
pub struct Failure {
    code: u8,
    source: Box<dyn Error + Send + Sync>,
}

impl Failure {
    /// Only other settings help.
    pub fn settings(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let source = source.into();
        Self {
            code: EXIT_SETTINGS,
            source,
        }
    }

    /// Starting again may help.
    pub fn unavailable(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let source = source.into();
        Self {
            code: EXIT_UNAVAILABLE,
            source,
        }
    }
}

/// Runs a service: reads `C` from the file that the first argument names and from the
/// environment, and serves until SIGINT or SIGTERM. Ends with 0, [`EXIT_SETTINGS`] or
/// [`EXIT_UNAVAILABLE`], and says why in one line.
pub fn run<C, F>(service: &str, serve: impl FnOnce(C, Shutdown) -> F) -> ExitCode
where
    C: DeserializeOwned + Serialize + Default,
    F: Future<Output = Result<(), Failure>>,
{
    telemetry::init_logs(service);
    telemetry::metrics_handle();
    let file = std::env::args_os().nth(1).map(PathBuf::from);
    let ended = settings::load::<C>(file.as_deref())
        .map_err(Failure::settings)
        .and_then(|config| block_on(config, serve));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            tracing::error!("{}", Chain(failure.source.as_ref()));
            ExitCode::from(failure.code)
        }
    }
}

fn block_on<C, F>(config: C, serve: impl FnOnce(C, Shutdown) -> F) -> Result<(), Failure>
where
    F: Future<Output = Result<(), Failure>>,
{
    let runtime = tokio::runtime::Runtime::new().map_err(Failure::unavailable)?;
    runtime.block_on(async {
        let shutdown = Shutdown::new();
        shutdown.on_signals().map_err(Failure::unavailable)?;
        serve(config, shutdown).await
    })
}
