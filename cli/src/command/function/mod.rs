//! `eddyline function`: what its author and its deployer do with a function.

mod build;
mod change;
mod deploy;
mod dev;
mod failure;
mod journal;
mod list;
mod logs;
mod mirror;
mod new;
mod replay;
mod show;
mod source;
mod test;
mod top;
mod trial;

use service::shutdown::Shutdown;

use super::interrupt::interruptible;
use crate::args::Command;
use crate::args::function::FunctionCommand;
use crate::error::CliError;
use crate::output::Output;

/// Whether a command runs a function for somebody who writes it.
pub(super) fn is_authors(command: &Command) -> bool {
    use FunctionCommand::{Dev, Test};
    matches!(command, Command::Function(Dev(_) | Test(_)))
}

/// Does one of them. Only `dev` has something to end in order; the others may be cut off
/// anywhere.
///
/// # Errors
/// Those of the command.
pub async fn run(
    command: FunctionCommand,
    output: &Output,
    shutdown: &Shutdown,
) -> Result<(), CliError> {
    if let FunctionCommand::Dev(args) = command {
        return dev::run(args, output, shutdown).await;
    }
    interruptible(brief(command, output), shutdown).await
}

async fn brief(command: FunctionCommand, output: &Output) -> Result<(), CliError> {
    match command {
        FunctionCommand::New(args) => new::run(args, output),
        FunctionCommand::Build(args) => build::run(args, output).await,
        FunctionCommand::Test(args) => test::run(args, output).await,
        FunctionCommand::Deploy(args) => deploy::run(&args, output).await,
        FunctionCommand::List(args) => list::run(&args, output).await,
        FunctionCommand::Logs(args) => logs::run(&args, output).await,
        FunctionCommand::Show(args) => show::run(&args, output).await,
        FunctionCommand::Top(args) => top::run(&args, output).await,
        FunctionCommand::Pause(args) => change::pause(&args, output).await,
        FunctionCommand::Resume(args) => change::resume(&args, output).await,
        FunctionCommand::Promote(args) => change::promote(&args, output).await,
        FunctionCommand::Rollback(args) => change::rollback(&args, output).await,
        FunctionCommand::Remove(args) => change::remove(&args, output).await,
        FunctionCommand::Replay(args) => replay::run(&args, output).await,
        FunctionCommand::Dev(_) => unreachable!("it is not brief, and taken care of above"),
    }
}
