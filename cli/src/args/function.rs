//! The arguments of `eddyline function`.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Subcommand};
use protocol::log::LogLevel;
use protocol::spec::EVENTS_MIN_DEFAULT;

use super::author::{Build, FunctionDev, New, Test};
use super::nats::NatsArgs;
use super::value;

/// What to do with functions.
#[derive(Debug, Subcommand)]
pub enum FunctionCommand {
    /// Make the folder of a new function, which builds at once.
    New(New),
    /// Build a function and check it with the real host.
    Build(Build),
    /// Run recorded events through a function and compare what comes out.
    Test(Test),
    /// Run a function on this machine: build on save, show what each event became.
    Dev(FunctionDev),
    /// Deploy a function, or a new version of one.
    Deploy(Deploy),
    /// List what is deployed.
    List(List),
    /// Show a function, its limits and the versions that are kept of it.
    Show(Named),
    /// Print what functions have written into their logs.
    Logs(ShowLogs),
    /// Show how busy functions are, how far behind, and how they do, again and again.
    Top(Top),
    /// Let a function's inputs wait until it is resumed.
    Pause(Named),
    /// Let a paused function go on.
    Resume(Resume),
    /// Give a version that is on trial every channel.
    Promote(Promote),
    /// Take back a version that is on trial; otherwise deploy the version before again, or
    /// the one that --to names.
    Rollback(Rollback),
    /// Withdraw a function; its versions and its progress are kept.
    Remove(Named),
    /// Run recorded history through a function on disk, and show what it would make
    /// different. Nothing is published.
    Replay(ReplayHistory),
}

/// `eddyline function list`.
#[derive(Debug, Args)]
pub struct List {
    /// Where.
    #[command(flatten)]
    pub nats: NatsArgs,
}

/// `eddyline function logs`.
#[derive(Debug, Args)]
pub struct ShowLogs {
    /// The function; all unless given.
    pub name: Option<String>,
    /// Go on with what they write from now on.
    #[arg(short, long)]
    pub follow: bool,
    /// From when on: a time such as 2026-07-01T12:00:00Z, or so long ago, such as 2h.
    #[arg(long, value_name = "TIME", default_value = "1h")]
    pub since: String,
    /// The least level that is shown: trace, debug, info, warn or error.
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    pub level: Level,
    /// The store.
    #[arg(long, value_name = "STORE", default_value = "main")]
    pub store: String,
    /// Where.
    #[command(flatten)]
    pub nats: NatsArgs,
}

/// `eddyline function top`.
#[derive(Debug, Args)]
pub struct Top {
    /// The function; all of the store unless given.
    pub name: Option<String>,
    /// Show it once.
    #[arg(long)]
    pub once: bool,
    /// How often it is shown, such as 5s.
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = value::duration)]
    pub interval: Duration,
    /// The store.
    #[arg(long, value_name = "STORE", default_value = "main")]
    pub store: String,
    /// Where.
    #[command(flatten)]
    pub nats: NatsArgs,
}

/// A level of a log.
#[derive(Debug, Clone, Copy)]
pub struct Level(pub LogLevel);

impl FromStr for Level {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let level = LogLevel::ALL
            .into_iter()
            .find(|level| level.as_str() == text);
        level
            .map(Self)
            .ok_or_else(|| "must be trace, debug, info, warn or error".to_owned())
    }
}

/// Whether to wait for the workers.
#[derive(Debug, Args)]
pub struct WaitArgs {
    /// Do not wait until every lane runs it.
    #[arg(long)]
    pub no_wait: bool,
    /// How long to wait for that, such as 30s.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = value::duration)]
    pub timeout: Duration,
}

/// A command about one function.
#[derive(Debug, Args)]
pub struct Named {
    /// The function.
    pub name: String,
    /// Where.
    #[command(flatten)]
    pub nats: NatsArgs,
}

/// `eddyline function resume`.
#[derive(Debug, Args)]
pub struct Resume {
    /// The function.
    pub name: String,
    /// Whether to wait.
    #[command(flatten)]
    pub wait: WaitArgs,
    /// Where.
    #[command(flatten)]
    pub nats: NatsArgs,
}

/// `eddyline function promote`.
#[derive(Debug, Args)]
pub struct Promote {
    /// The function.
    pub name: String,
    /// Whether to wait.
    #[command(flatten)]
    pub wait: WaitArgs,
    /// Where.
    #[command(flatten)]
    pub nats: NatsArgs,
}

/// `eddyline function rollback`.
#[derive(Debug, Args)]
pub struct Rollback {
    /// The function.
    pub name: String,
    /// The version to go back to; the one before the deployed one unless given.
    #[arg(long, value_name = "VERSION")]
    pub to: Option<u64>,
    /// Whether to wait.
    #[command(flatten)]
    pub wait: WaitArgs,
    /// Where.
    #[command(flatten)]
    pub nats: NatsArgs,
}

/// A function on disk.
#[derive(Debug, Args)]
pub struct SourceArgs {
    /// A folder with an eddyline.toml, such a file, or a module (.wasm).
    #[arg(value_name = "PATH", default_value = ".")]
    pub path: PathBuf,
    /// Its name. Of a module: that of its file unless given. Of a folder: which one of
    /// several.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// What a module needs that no file describes.
    #[command(flatten)]
    pub module: ModuleArgs,
}

/// `eddyline function deploy`.
#[derive(Debug, Args)]
pub struct Deploy {
    /// What; from a folder, the namespaces that it is for are made with it.
    #[command(flatten)]
    pub source: SourceArgs,
    /// Where it begins when it is new: earliest, latest, a time such as
    /// 2026-07-01T12:00:00Z, or a time ago such as 2h.
    #[arg(long, value_name = "PLACE")]
    pub start: Option<String>,
    /// Begin anew at --start, without regard to what it has done: after a restore, or to
    /// let it become another kind of function.
    #[arg(long, requires = "start")]
    pub restart: bool,
    /// Try it out on this share of the channels, such as 5%, beside the version that is
    /// deployed. It is promoted or taken back by itself.
    #[arg(long, value_name = "SHARE", value_parser = value::permille, conflicts_with_all = ["start", "restart"])]
    pub canary: Option<u16>,
    /// How long it is on trial before it may be promoted, such as 10m.
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = value::duration, requires = "canary")]
    pub canary_for: Duration,
    /// Events that it handles before it may be promoted.
    #[arg(long, value_name = "N", default_value_t = EVENTS_MIN_DEFAULT, requires = "canary")]
    pub canary_events: u64,
    /// How many versions of it are kept, this one included.
    #[arg(long, value_name = "N", default_value_t = control::VERSIONS_KEPT as u64, value_parser = clap::value_parser!(u64).range(1..=100))]
    pub keep: u64,
    /// Whether to wait.
    #[command(flatten)]
    pub wait: WaitArgs,
    /// Where.
    #[command(flatten)]
    pub nats: NatsArgs,
}

/// `eddyline function replay`.
#[derive(Debug, Args)]
pub struct ReplayHistory {
    /// The candidate.
    #[command(flatten)]
    pub source: SourceArgs,
    /// Where in the recorded history to begin: earliest, a time such as
    /// 2026-07-01T12:00:00Z, or a time ago such as 2h.
    #[arg(long, value_name = "PLACE", default_value = "2h")]
    pub from: String,
    /// Only inputs on these channels, as a pattern such as 'chat.>'.
    #[arg(long, value_name = "PATTERN")]
    pub channel: Option<String>,
    /// End after this many inputs.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub count: usize,
    /// The bridge's gRPC, for what JetStream no longer keeps: HOST:PORT, or
    /// https://HOST:PORT for one with TLS; that of a running `dev` unless given.
    #[arg(long, env = "EDDYLINE_GRPC", value_name = "ADDRESS")]
    pub grpc: Option<String>,
    /// A PEM file with the authorities that are trusted to vouch for a bridge with TLS;
    /// the machine's own unless given.
    #[arg(long, env = "EDDYLINE_ROOTS", value_name = "FILE")]
    pub roots: Option<PathBuf>,
    /// The token for it, with the scopes inputs and replay; that of a running `dev` unless
    /// given.
    #[arg(long, env = "EDDYLINE_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// Where.
    #[command(flatten)]
    pub nats: NatsArgs,
}

/// What an eddyline.toml says of a function.
#[derive(Debug, Args)]
pub struct ModuleArgs {
    /// Of a module: the stored events that it handles, as a pattern of channels; may be
    /// given several times. Without any it is a gate.
    #[arg(long, value_name = "PATTERN")]
    pub on: Vec<String>,
    /// Of a module with --on: a header that an event must have; several values of one name
    /// are a choice, and several names must all be there.
    #[arg(long = "header", value_name = "NAME=VALUE", value_parser = value::pair, requires = "on")]
    pub headers: Vec<(String, String)>,
    /// Of a module: channels that it may emit to besides the input's own, as a pattern;
    /// may be given several times.
    #[arg(long, value_name = "PATTERN")]
    pub emits: Vec<String>,
    /// Of a module: a setting; may be given several times.
    #[arg(long, value_name = "NAME=VALUE", value_parser = value::pair)]
    pub config: Vec<(String, String)>,
    /// Of a module: a limit, such as deadline_ms=100; may be given several times.
    #[arg(long = "limit", value_name = "NAME=NUMBER", value_parser = value::pair)]
    pub limits: Vec<(String, String)>,
    /// Of a module: how long its outputs may gather, milliseconds.
    #[arg(long, value_name = "MS")]
    pub linger_ms: Option<u64>,
    /// Of a module: its events may come back to it through other functions.
    #[arg(long)]
    pub loops: bool,
    /// Of a module: the store whose events it handles; main unless given.
    #[arg(long, value_name = "STORE")]
    pub store: Option<String>,
}

impl ModuleArgs {
    /// Whether none of it is given.
    pub fn is_empty(&self) -> bool {
        self.on.is_empty()
            && self.headers.is_empty()
            && self.emits.is_empty()
            && self.config.is_empty()
            && self.limits.is_empty()
            && self.linger_ms.is_none()
            && !self.loops
            && self.store.is_none()
    }
}
