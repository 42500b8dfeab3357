//! The bridge as a process: binds, runs until SIGINT or SIGTERM, and says on a listener
//! of its own what it waits for. Everything else is in the library.

use std::process::ExitCode;
use std::sync::Arc;

use bridge::{BridgeConfig, BridgeError};
use service::process::Failure;
use service::shutdown::Shutdown;
use service::{listener, process};
use tokio::net::TcpListener;

fn main() -> ExitCode {
    process::run("bridge", serve)
}

async fn serve(config: BridgeConfig, shutdown: Shutdown) -> Result<(), Failure> {
    config.check().map_err(Failure::settings)?;
    let grpc = TcpListener::bind(config.grpc)
        .await
        .map_err(BridgeError::Listener)
        .map_err(failure)?;
    let health = config.health;
    let bridge = bridge::start(config, grpc, shutdown.clone())
        .await
        .map_err(failure)?;
    let status = bridge.status();
    let waiting: listener::Waiting = Arc::new(move || status.borrow().waiting());
    let health = listener::serve(health, waiting, shutdown)
        .await
        .map_err(Failure::unavailable)?;
    tracing::info!(grpc = %bridge.grpc_addr(), %health, "bridge runs");
    bridge.run().await.map_err(failure)
}

fn failure(error: BridgeError) -> Failure {
    if error.is_settings() {
        Failure::settings(error)
    } else {
        Failure::unavailable(error)
    }
}
