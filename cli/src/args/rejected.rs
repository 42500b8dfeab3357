//! The arguments of `eddyline rejected`.

use clap::{Args, Subcommand};

use super::nats::NatsArgs;

/// What to do with dead letters.
#[derive(Debug, Subcommand)]
pub enum RejectedCommand {
    /// List the dead letters that nobody has settled.
    List(ListLetters),
    /// Show one with its data.
    Show(ShowLetter),
    /// Hand inputs to their function again: each has one effect, however often.
    Redrive(Choice),
    /// Say that nothing more is to be done with letters.
    Drop(Choice),
}

/// Which letters.
#[derive(Debug, Args)]
pub struct FilterArgs {
    /// Those of this function.
    #[arg(long, value_name = "NAME")]
    pub function: Option<String>,
    /// Those of these channels, as a pattern such as 'chat.>'.
    #[arg(long, value_name = "PATTERN")]
    pub channel: Option<String>,
    /// Those since then: a time such as 2026-07-01T12:00:00Z, or so long ago, such as 2h.
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// The store.
    #[arg(long, value_name = "STORE", default_value = "main")]
    pub store: String,
}

/// `eddyline rejected list`.
#[derive(Debug, Args)]
pub struct ListLetters {
    /// Which.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// Settled ones as well.
    #[arg(long)]
    pub settled: bool,
    /// Where.
    #[command(flatten)]
    pub nats: NatsArgs,
}

/// `eddyline rejected show`.
#[derive(Debug, Args)]
pub struct ShowLetter {
    /// Its number in the list.
    pub number: u64,
    /// The store.
    #[arg(long, value_name = "STORE", default_value = "main")]
    pub store: String,
    /// Where.
    #[command(flatten)]
    pub nats: NatsArgs,
}

/// `eddyline rejected redrive` and `drop`.
#[derive(Debug, Args)]
pub struct Choice {
    /// Their numbers in the list.
    #[arg(required_unless_present = "all")]
    pub numbers: Vec<u64>,
    /// All that the filters leave, oldest first.
    #[arg(long, conflicts_with = "numbers")]
    pub all: bool,
    /// Which of all.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// Where.
    #[command(flatten)]
    pub nats: NatsArgs,
}
