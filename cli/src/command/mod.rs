//! One module per command, and what they share: the end by a signal, and how a
//! failure is told.

mod application;
mod apply;
pub mod demo;
pub mod dev;
mod disconnect;
mod ephemeral;
mod event;
mod function;
pub mod history;
mod input;
mod interrupt;
mod logs;
mod namespace;
mod outcomes;
pub mod presence;
pub mod publish;
mod rejected;
pub mod replay;
mod revoke;
mod rollout;
pub mod subscribe;
pub mod token;
pub mod trace;

use std::process::ExitCode;

use service::shutdown::Shutdown;

use crate::args::{Arguments, Command};
use crate::error::{CliError, EXIT_FAILED};
use crate::output::Output;

use interrupt::interruptible;

/// Runs a command to its end and tells a failure.
pub async fn run(arguments: Arguments) -> ExitCode {
    let output = Output::new(arguments.json);
    let outcome = dispatch(arguments.command, &output).await;
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&error, &output);
            ExitCode::from(error.code)
        }
    }
}

async fn dispatch(command: Command, output: &Output) -> Result<(), CliError> {
    logs::init(function::is_authors(&command));
    let shutdown = Shutdown::new();
    shutdown.on_signals().map_err(|error| {
        CliError::new(EXIT_FAILED, format!("signals cannot be handled: {error}"))
    })?;
    match command {
        Command::Dev(args) => dev::run(args, output, &shutdown).await,
        Command::Demo(args) => demo::run(args, output, &shutdown).await,
        Command::Pub(args) if args.ephemeral => {
            interruptible(ephemeral::run(args, output), &shutdown).await
        }
        Command::Pub(args) => interruptible(publish::run(args, output), &shutdown).await,
        Command::Sub(args) => interruptible(subscribe::run(args, output), &shutdown).await,
        Command::Presence(args) => interruptible(presence::run(args, output), &shutdown).await,
        Command::History(args) => interruptible(history::run(args, output), &shutdown).await,
        Command::Replay(args) => interruptible(replay::run(args, output), &shutdown).await,
        Command::Trace(args) => interruptible(trace::run(args, output), &shutdown).await,
        Command::Token(args) => token::run(&args, output),
        Command::Function(args) => function::run(args, output, &shutdown).await,
        Command::Namespace(command) => {
            interruptible(namespace::run(command, output), &shutdown).await
        }
        Command::Rejected(command) => {
            interruptible(rejected::run(command, output), &shutdown).await
        }
        Command::Disconnect(command) => {
            interruptible(disconnect::run(command, output), &shutdown).await
        }
        Command::Revoke(command) => interruptible(revoke::run(command, output), &shutdown).await,
        Command::Apply(args) => interruptible(apply::run(&args, output), &shutdown).await,
    }
}

fn tell(error: &CliError, output: &Output) {
    if error.message.is_empty() {
        return;
    }
    output.note(&format!("error: {}", error.message));
    if let Some(hint) = &error.hint {
        output.note(&format!("hint: {hint}"));
    }
}
