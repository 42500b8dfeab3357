//! Command line of the development servers: check, fetch, run. Owns nothing;
//! the library does the work.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};
use devstack::fetch::Progress;
use devstack::prerequisites::{self, Scope};
use devstack::{Config, DevstackError, Stack, StackOptions, fetch};
use tokio::signal::unix::{SignalKind, signal};

/// Real NATS and Kafka servers on this machine.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Say what this machine lacks for building and running.
    Check,
    /// Fetch the servers into the cache.
    Fetch,
    /// Run both servers until Ctrl-C.
    Up {
        /// Folder that keeps the data; without it nothing is kept.
        #[arg(long)]
        data: Option<PathBuf>,
    },
}

fn main() -> ExitCode {
    let config = Config::from_env();
    let outcome = match Arguments::parse().command {
        Action::Check => prerequisites::check(&config, Scope::Build)
            .map_err(|missing| DevstackError::Missing(missing).into()),
        Action::Fetch => prerequisites::check(&config, Scope::Servers)
            .map_err(DevstackError::Missing)
            .and_then(|()| fetch::all(&config, &show).map(drop))
            .map_err(Into::into),
        Action::Up { data } => up(&config, data),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn show(progress: Progress) {
    eprintln!("{progress}");
}

fn up(config: &Config, data: Option<PathBuf>) -> anyhow::Result<()> {
    let options = StackOptions {
        data,
        ..StackOptions::default()
    };
    let mut stack = Stack::start(config, options, &show)?;
    let pid = |pid: Option<u32>| pid.map_or("not ours".to_owned(), |pid| format!("pid {pid}"));
    let [nats, kafka] = stack.processes().map(pid);
    let mut out = std::io::stdout();
    writeln!(out, "NATS   {}  {nats}", stack.nats_url())?;
    let address = stack.kafka_bootstrap().unwrap_or_default();
    writeln!(out, "Kafka  {address}  {kafka}")?;
    writeln!(out, "Ctrl-C stops both.")?;
    wait_for_signal().context("cannot wait for Ctrl-C")?;
    stack.stop().map_err(Into::into)
}

#[tokio::main(flavor = "current_thread")]
async fn wait_for_signal() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        outcome = tokio::signal::ctrl_c() => outcome,
        _ = terminate.recv() => Ok(()),
    }
}
