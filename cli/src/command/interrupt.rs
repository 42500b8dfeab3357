//! The end of a command by a signal, for those that leave nothing behind. Owns no state.

use service::shutdown::Shutdown;

use crate::error::CliError;

/// Runs a command that may be cut off anywhere.
pub(super) async fn interruptible(
    command: impl Future<Output = Result<(), CliError>>,
    shutdown: &Shutdown,
) -> Result<(), CliError> {
    tokio::select! {
        outcome = command => outcome,
        () = shutdown.triggered() => Err(CliError::interrupted()),
    }
}
