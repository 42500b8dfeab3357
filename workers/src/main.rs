//! The `workers` process: settings, start, run until a signal. Everything else is
//! in the library.

use std::path::PathBuf;
use std::process::ExitCode;

use service::shutdown::Shutdown;
use service::{settings, telemetry};
use workers::WorkerConfig;

/// Exit code for settings that are refused, as in `sysexits.h`.
const EXIT_SETTINGS: u8 = 64;

fn main() -> ExitCode {
    telemetry::init_logs("workers");
    let file = std::env::args_os().nth(1).map(PathBuf::from);
    let config: WorkerConfig = match settings::load(file.as_deref()) {
        Ok(config) => config,
        Err(error) => {
            tracing::error!("{:#}", anyhow::Error::from(error));
            return ExitCode::from(EXIT_SETTINGS);
        }
    };
    match run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run(config: WorkerConfig) -> anyhow::Result<()> {
    telemetry::metrics_handle();
    let shutdown = Shutdown::new();
    shutdown.on_signals()?;
    let worker = workers::start(config, shutdown).await?;
    Ok(worker.run().await?)
}
