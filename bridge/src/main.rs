//! The bridge as a process: binds and runs until SIGINT or SIGTERM. Everything else is
//! in the library.

use std::process::ExitCode;

use bridge::{BridgeConfig, BridgeError};
use service::process::{self, Failure};
use service::shutdown::Shutdown;
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
    let bridge = bridge::start(config, grpc, shutdown)
        .await
        .map_err(failure)?;
    let (grpc, health) = (bridge.grpc_addr(), bridge.health_addr());
    tracing::info!(%grpc, %health, "bridge runs");
    bridge.run().await.map_err(failure)
}

fn failure(error: BridgeError) -> Failure {
    if error.is_settings() {
        Failure::settings(error)
    } else {
        Failure::unavailable(error)
    }
}
