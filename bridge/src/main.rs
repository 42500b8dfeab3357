//! The bridge as a process: reads settings, binds, runs until SIGINT or SIGTERM.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use bridge::BridgeConfig;
use service::shutdown::Shutdown;
use service::telemetry;
use tokio::net::TcpListener;

/// What the shell sees when the settings are not accepted (`EX_USAGE`).
const EXIT_SETTINGS: u8 = 64;

fn main() -> ExitCode {
    telemetry::init_logs("bridge");
    telemetry::metrics_handle();
    // The one argument is a settings file.
    let file = std::env::args_os().nth(1).map(PathBuf::from);
    let config = match BridgeConfig::load(file.as_deref())
        .map_err(anyhow::Error::from)
        .and_then(|config| Ok(config.check().map(|()| config)?))
    {
        Ok(config) => config,
        Err(error) => {
            tracing::error!("{error:#}");
            return ExitCode::from(EXIT_SETTINGS);
        }
    };
    match serve(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn serve(config: BridgeConfig) -> anyhow::Result<()> {
    let shutdown = Shutdown::new();
    shutdown.on_signals().context("signal handlers")?;
    let listener = TcpListener::bind(config.grpc)
        .await
        .with_context(|| format!("cannot listen on {}", config.grpc))?;
    let bridge = bridge::start(config, listener, shutdown).await?;
    tracing::info!(grpc = %bridge.grpc_addr(), "bridge runs");
    Ok(bridge.run().await?)
}
