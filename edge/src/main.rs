//! The `edge` binary: settings, logs, signals, one node. Everything else is in the
//! library, so that tests and `eddyline dev` run the same node in their process.

use std::process::ExitCode;

use edge::{EdgeConfig, EdgeError};
use service::process::{self, Failure};
use service::shutdown::Shutdown;
use tokio::net::TcpListener;

fn main() -> ExitCode {
    process::run("edge", serve)
}

async fn serve(config: EdgeConfig, shutdown: Shutdown) -> Result<(), Failure> {
    config.check().map_err(failure)?;
    let listen = config.listen;
    let bound = TcpListener::bind(listen).await;
    let listener = bound.map_err(|source| failure(EdgeError::Listen { listen, source }))?;
    let node = edge::start(config, listener, shutdown)
        .await
        .map_err(failure)?;
    node.run().await;
    Ok(())
}

fn failure(error: EdgeError) -> Failure {
    if error.is_settings() {
        Failure::settings(error)
    } else {
        Failure::unavailable(error)
    }
}
