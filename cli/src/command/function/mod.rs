//! `eddyline function`: what its author and its deployer do with a function.

mod change;
mod deploy;
mod list;
mod replay;
mod show;
mod source;

use crate::args::function::FunctionCommand;
use crate::error::CliError;
use crate::output::Output;

/// Does one of them.
///
/// # Errors
/// Those of the command.
pub async fn run(command: FunctionCommand, output: &Output) -> Result<(), CliError> {
    match command {
        FunctionCommand::Deploy(args) => deploy::run(&args, output).await,
        FunctionCommand::List(args) => list::run(&args, output).await,
        FunctionCommand::Show(args) => show::run(&args, output).await,
        FunctionCommand::Pause(args) => change::pause(&args, output).await,
        FunctionCommand::Resume(args) => change::resume(&args, output).await,
        FunctionCommand::Rollback(args) => change::rollback(&args, output).await,
        FunctionCommand::Remove(args) => change::remove(&args, output).await,
        FunctionCommand::Replay(args) => replay::run(&args, output).await,
    }
}
