//! The arguments of `eddyline function`.

use clap::{Args, Subcommand};

use super::nats::NatsArgs;

/// What to do with functions.
#[derive(Debug, Subcommand)]
pub enum FunctionCommand {
    /// List what is deployed.
    List(List),
}

/// `eddyline function list`.
#[derive(Debug, Args)]
pub struct List {
    /// Where.
    #[command(flatten)]
    pub nats: NatsArgs,
}
