//! `eddyline function`: what its author and its deployer do with a function.

mod list;

use crate::args::function::FunctionCommand;
use crate::error::CliError;
use crate::output::Output;

/// Does one of them.
///
/// # Errors
/// Those of the command.
pub async fn run(command: FunctionCommand, output: &Output) -> Result<(), CliError> {
    match command {
        FunctionCommand::List(args) => list::run(&args, output).await,
    }
}
