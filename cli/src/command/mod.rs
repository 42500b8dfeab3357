//! One module per command, and what they share: the end by a signal, and how a
//! failure is told.

mod application;
mod apply;
pub mod demo;
pub mod dev;
mod event;
mod function;
mod input;
mod namespace;
mod outcomes;
pub mod publish;
mod rejected;
pub mod replay;
mod rollout;
pub mod subscribe;
pub mod token;

use std::process::ExitCode;

use service::shutdown::Shutdown;
use service::telemetry::LOG_VARIABLE;
use tracing_subscriber::EnvFilter;

use crate::args::{Arguments, Command};
use crate::error::{CliError, EXIT_FAILED};
use crate::output::Output;

/// What is logged unless `EDDYLINE_LOG` says otherwise: what a person at a terminal
/// has to know. News of the services would bury the status line.
const LOG_DEFAULT: &str = "warn,async_nats=error,rdkafka=error";

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
    init_logs();
    let shutdown = Shutdown::new();
    shutdown.on_signals().map_err(|error| {
        CliError::new(EXIT_FAILED, format!("signals cannot be handled: {error}"))
    })?;
    match command {
        Command::Dev(args) => dev::run(args, output, &shutdown).await,
        Command::Demo(args) => demo::run(args, output, &shutdown).await,
        Command::Pub(args) => interruptible(publish::run(args, output), &shutdown).await,
        Command::Sub(args) => interruptible(subscribe::run(args, output), &shutdown).await,
        Command::Replay(args) => interruptible(replay::run(args, output), &shutdown).await,
        Command::Token(args) => token::run(&args, output),
        Command::Function(command) => {
            interruptible(function::run(command, output), &shutdown).await
        }
        Command::Namespace(command) => {
            interruptible(namespace::run(command, output), &shutdown).await
        }
        Command::Rejected(command) => {
            interruptible(rejected::run(command, output), &shutdown).await
        }
        Command::Apply(args) => interruptible(apply::run(&args, output), &shutdown).await,
    }
}

fn init_logs() {
    let filter =
        EnvFilter::try_from_env(LOG_VARIABLE).unwrap_or_else(|_| EnvFilter::new(LOG_DEFAULT));
    // An error means that logs are installed already, by a test.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .try_init();
}

/// Runs a command that may be cut off anywhere.
async fn interruptible(
    command: impl Future<Output = Result<(), CliError>>,
    shutdown: &Shutdown,
) -> Result<(), CliError> {
    tokio::select! {
        outcome = command => outcome,
        () = shutdown.triggered() => Err(CliError::interrupted()),
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
