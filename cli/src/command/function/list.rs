//! `eddyline function list`: what is deployed.

use bus::BusError;
use protocol::name::FunctionName;
use protocol::stream::Bucket;

use crate::args::function::List;
use crate::error::{CliError, EXIT_FAILED, sentence};
use crate::nats;
use crate::output::Output;

/// Lists it.
///
/// # Errors
/// NATS cannot be reached or read.
pub async fn run(args: &List, output: &Output) -> Result<(), CliError> {
    let failed = |error: BusError| CliError::new(EXIT_FAILED, sentence(&error));
    let bus = nats::connect(&args.nats).await?;
    let functions = bus.kv(Bucket::Functions).await.map_err(failed)?;
    for name in functions.keys().await.map_err(failed)? {
        if FunctionName::parse(&name).is_ok() {
            output.result(&name, || name.clone())?;
        }
    }
    Ok(())
}
