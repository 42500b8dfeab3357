//! The `edge` binary: settings, logs, signals, one node. Everything else is in the
//! library, so that tests and `eddyline dev` run the same node in their process.

use std::path::PathBuf;
use std::process::ExitCode;

use edge::{EdgeConfig, EdgeError};
use service::settings;
use service::shutdown::Shutdown;
use service::telemetry;

/// Exit code for settings that cannot be used (sysexits' EX_CONFIG is 78; 64 is what
/// all of Eddyline's binaries use, before anything is bound).
const EXIT_SETTINGS: u8 = 64;
/// Exit code when NATS or the address is not available.
const EXIT_UNAVAILABLE: u8 = 69;

#[tokio::main]
async fn main() -> ExitCode {
    telemetry::init_logs("edge");
    let file = std::env::args_os().nth(1).map(PathBuf::from);
    let config: EdgeConfig = match settings::load(file.as_deref()) {
        Ok(config) => config,
        Err(error) => return fail(&error.into(), EXIT_SETTINGS),
    };
    match serve(config).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let settings = error
                .downcast_ref::<EdgeError>()
                .is_some_and(EdgeError::is_settings);
            fail(
                &error,
                if settings {
                    EXIT_SETTINGS
                } else {
                    EXIT_UNAVAILABLE
                },
            )
        }
    }
}

async fn serve(config: EdgeConfig) -> anyhow::Result<()> {
    config.check()?;
    let shutdown = Shutdown::new();
    shutdown.on_signals()?;
    let listen = config.listen;
    let listener = tokio::net::TcpListener::bind(listen)
        .await
        .map_err(|source| EdgeError::Listen { listen, source })?;
    edge::start(config, listener, shutdown).await?.run().await;
    Ok(())
}

fn fail(error: &anyhow::Error, code: u8) -> ExitCode {
    tracing::error!("{error:#}");
    ExitCode::from(code)
}
