//! The `workers` process: settings, start, run until a signal. Everything else is
//! in the library.

use std::process::ExitCode;

use service::process::{self, Failure};
use service::shutdown::Shutdown;
use workers::{WorkerConfig, WorkerError};

fn main() -> ExitCode {
    process::run("workers", serve)
}

async fn serve(config: WorkerConfig, shutdown: Shutdown) -> Result<(), Failure> {
    let worker = workers::start(config, shutdown).await.map_err(failure)?;
    worker.run().await.map_err(failure)
}

fn failure(error: WorkerError) -> Failure {
    if error.is_settings() {
        Failure::settings(error)
    } else {
        Failure::unavailable(error)
    }
}
