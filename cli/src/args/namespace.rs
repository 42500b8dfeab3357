//! The arguments of `eddyline namespace` and `eddyline apply`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use protocol::class::Class;
use protocol::spec::PresenceSetting;

use super::function::WaitArgs;
use super::nats::NatsArgs;

/// What to do with namespaces.
#[derive(Debug, Subcommand)]
pub enum NamespaceCommand {
    /// Make a namespace, or change which classes of events one allows and whether it tells
    /// who is on its channels.
    Apply(ApplyNamespace),
    /// List namespaces.
    List(ListNamespaces),
    /// Show a namespace and who handles its events.
    Show(NamedNamespace),
    /// Remove a namespace; what is stored of it stays for as long as its store keeps it.
    Remove(NamedNamespace),
}

/// `eddyline namespace apply`.
#[derive(Debug, Args)]
pub struct ApplyNamespace {
    /// Its name: the first word of its channels.
    pub name: String,
    /// The function that its events pass first; none stores them as they come.
    #[arg(long, value_name = "FUNCTION")]
    pub gate: Option<String>,
    /// The store that its channels live in.
    #[arg(long, value_name = "STORE", default_value = "main")]
    pub store: String,
    /// How its events may be delivered: `durable`, `ephemeral` or `durable,ephemeral`;
    /// unless said, as it is, and durable alone at first.
    #[arg(long, value_name = "CLASS", value_delimiter = ',')]
    pub class: Vec<Class>,
    /// The header that holds an ephemeral event's key: of those with one key that wait for a
    /// client, the newest alone is sent. Empty for none; unless said, as it is.
    #[arg(long, value_name = "HEADER")]
    pub conflate: Option<String>,
    /// How long an edge node waits for more events of a channel before it delivers those
    /// that it has, milliseconds: cheaper for busy channels with many subscribers. 0 for not
    /// at all; unless said, as it is.
    #[arg(long, value_name = "MS")]
    pub batch: Option<u32>,
    /// Most bytes that one tenant may have stored in it. 0 for as many as its share of the
    /// store; unless said, as it is.
    #[arg(long, value_name = "BYTES")]
    pub quota: Option<u64>,
    /// Whether its channels tell who is on them: `off`, `on`, or up to how many members are
    /// named, beyond which they are counted alone (200 with `on`); `,lifecycle` behind it
    /// tells as events when channels are occupied and vacated, `,sessions` when writers
    /// connect and disconnect. Unless said, as it is, and `off` at first.
    #[arg(long, value_name = "SETTING")]
    pub presence: Option<PresenceSetting>,
    /// Where.
    #[command(flatten)]
    pub nats: NatsArgs,
}

/// `eddyline namespace list`.
#[derive(Debug, Args)]
pub struct ListNamespaces {
    /// Where.
    #[command(flatten)]
    pub nats: NatsArgs,
}

/// A command about one namespace.
#[derive(Debug, Args)]
pub struct NamedNamespace {
    /// The namespace.
    pub name: String,
    /// Where.
    #[command(flatten)]
    pub nats: NatsArgs,
}

/// `eddyline apply`.
#[derive(Debug, Args)]
pub struct Apply {
    /// The application's file, or its folder.
    #[arg(short, long, value_name = "FILE", default_value = ".")]
    pub file: PathBuf,
    /// Show what would be done, and do nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Whether to wait.
    #[command(flatten)]
    pub wait: WaitArgs,
    /// Where.
    #[command(flatten)]
    pub nats: NatsArgs,
}
