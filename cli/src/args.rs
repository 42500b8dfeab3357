//! The command line's arguments. Plain values, read by clap, which also reads the
//! few variables that stand for options.

pub mod author;
pub mod demand;
pub mod disconnect;
pub mod function;
pub mod namespace;
pub mod nats;
pub mod rejected;
pub mod replay;
pub mod revoke;
mod value;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use local::stack::EDGE_PORTS;

use self::demand::Demand;
use self::disconnect::DisconnectCommand;
use self::function::FunctionCommand;
use self::namespace::{Apply, NamespaceCommand};
use self::rejected::RejectedCommand;
use self::replay::Replay;
use self::revoke::RevokeCommand;

/// Events per second of the demo unless told otherwise.
const RATE: f64 = 500.0;
/// Fastest rate that is accepted: beyond, turns are closer than timers can keep.
const RATE_MAX: f64 = 100_000.0;
/// How long a token is valid unless told otherwise.
const TTL: &str = "24h";

const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    failed: refused, or something that was checked does not hold
  2    the command line cannot be understood
  64   settings or input files cannot be used
  69   something needed is missing or cannot be reached
  130  interrupted (`dev` ends with 0)";

/// Real-time events, ordered, validated, kept and mirrored.
#[derive(Debug, Parser)]
#[command(name = "eddyline", version, after_help = EXIT_CODES, propagate_version = true)]
pub struct Arguments {
    /// Print results as JSON, one object per line.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the whole stack on this machine until Ctrl-C.
    Dev(Dev),
    /// Let people edit one document through the whole stack, and prove that it worked.
    Demo(Demo),
    /// Publish events.
    Pub(Publish),
    /// Receive events.
    Sub(Subscribe),
    /// See who is on a channel.
    Presence(Presence),
    /// Read a channel's stored events back, from an edge node.
    History(History),
    /// Read stored events back from the mirror, over gRPC.
    Replay(Replay),
    /// Follow one event's way: edge, stream, functions, mirror.
    Trace(Trace),
    /// Make a token.
    Token(Token),
    /// Write, try, deploy and watch functions.
    #[command(subcommand)]
    Function(FunctionCommand),
    /// Make, list and remove namespaces.
    #[command(subcommand)]
    Namespace(NamespaceCommand),
    /// Look at dead letters: what functions could not handle.
    #[command(subcommand)]
    Rejected(RejectedCommand),
    /// Close sessions, or those of a user; they may come back.
    #[command(subcommand)]
    Disconnect(DisconnectCommand),
    /// Revoke tokens, users and sessions before their time.
    #[command(subcommand)]
    Revoke(RevokeCommand),
    /// Make namespaces and deploy functions as an application's file says.
    Apply(Apply),
}

/// What a stack on this machine needs.
#[derive(Debug, Args)]
pub struct StackArgs {
    /// Keep all data in this folder; without it nothing is kept.
    #[arg(long, value_name = "FOLDER")]
    pub data: Option<PathBuf>,
    /// Folder of the built functions.
    #[arg(long, value_name = "FOLDER")]
    pub functions: Option<PathBuf>,
}

/// `eddyline dev`.
#[derive(Debug, Args)]
pub struct Dev {
    /// What the stack needs.
    #[command(flatten)]
    pub stack: StackArgs,
    /// No mirror: no Kafka and no bridge, so that neither Java nor Maven is needed.
    #[arg(long, conflicts_with = "grpc_port")]
    pub without_mirror: bool,
    /// End when the program that started this one has ended, however it did.
    #[arg(long)]
    pub with_parent: bool,
    /// Port of an edge node, one node for each time it is given; 0 takes a free one.
    #[arg(long = "port", value_name = "PORT", default_values_t = EDGE_PORTS)]
    pub ports: Vec<u16>,
    /// Name by which other commands find this one among several; unless given: dev,
    /// or dev-2 and so on where that runs already.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Port of the bridge's gRPC; 0 takes a free one.
    #[arg(long, value_name = "PORT", default_value_t = 8003)]
    pub grpc_port: u16,
}

/// `eddyline demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// Replay this editing trace, gzipped or not, instead of a generated session.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["txns", "seed"])]
    pub trace: Option<PathBuf>,
    /// Transactions of the generated session.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub txns: Option<u32>,
    /// Seed of the generated session; the same seed gives the same session.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Events per second on average, over all editors; twice as many while they make up
    /// for having waited for each other.
    #[arg(long, default_value_t = RATE, value_parser = rate)]
    pub rate: f64,
    /// Use these edge nodes instead of starting a stack; give it once for each.
    #[arg(long = "edge", value_name = "ADDRESS", requires = "grpc")]
    pub edges: Vec<String>,
    /// The bridge's gRPC that belongs to --edge.
    #[arg(long, value_name = "ADDRESS", requires = "edges")]
    pub grpc: Option<String>,
    /// Which running `dev`, by its name; needed where several run.
    #[arg(long, env = "EDDYLINE_DEV", value_name = "NAME")]
    pub dev: Option<String>,
    /// A token for --edge and --grpc; that of a running `dev` unless given.
    #[arg(long, env = "EDDYLINE_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// What the stack needs.
    #[command(flatten)]
    pub stack: StackArgs,
}

/// Most events that `sub` lets the node be ahead: what the client holds without dropping any.
const CREDIT_MAX: u64 = client::QUEUE_DELIVERIES as u64 / 2;

/// Which edge node to talk to, and as whom.
#[derive(Debug, Args)]
pub struct EdgeArgs {
    /// Which running `dev`, by its name; needed where several run.
    #[arg(long, env = "EDDYLINE_DEV", value_name = "NAME")]
    pub dev: Option<String>,
    /// The edge node, HOST:PORT, or wss://HOST for one with TLS; that of a running `dev`
    /// unless given.
    #[arg(long, env = "EDDYLINE_EDGE", value_name = "ADDRESS")]
    pub edge: Option<String>,
    /// A PEM file with the authorities that are trusted to vouch for a node with TLS; the
    /// machine's own unless given.
    #[arg(long, env = "EDDYLINE_ROOTS", value_name = "FILE")]
    pub roots: Option<PathBuf>,
    /// The token; that of a running `dev` unless given.
    #[arg(long, env = "EDDYLINE_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
}

/// `eddyline pub`.
#[derive(Debug, Args)]
pub struct Publish {
    /// The channel, for example chat.lobby.
    pub channel: String,
    /// The data of one event; `-`, or nothing, publishes each line of standard input.
    pub data: Option<String>,
    /// Content type of the data. Unless given: application/json where the data is
    /// JSON, text/plain where it is not.
    #[arg(long = "type", value_name = "TYPE")]
    pub content_type: Option<String>,
    /// A header of the event, NAME=VALUE; may be given several times.
    #[arg(long = "header", value_name = "NAME=VALUE", value_parser = value::pair)]
    pub headers: Vec<(String, String)>,
    /// Store the one event only if SEQ is the channel's last sequence; 0: if the store
    /// keeps nothing of the channel.
    #[arg(
        long,
        value_name = "SEQ",
        requires = "data",
        conflicts_with = "ephemeral"
    )]
    pub expect: Option<u64>,
    /// A clock of yours, such as a version, which subscribers get as it is.
    #[arg(long, value_name = "TEXT")]
    pub clock: Option<String>,
    /// Pass the event on to whoever listens now, and store nothing; the namespace must
    /// allow it.
    #[arg(long)]
    pub ephemeral: bool,
    /// In a namespace with a gate: have the gate tell what has passed, instead of looking for
    /// it on the channel; the token need not allow to subscribe there.
    #[arg(long, conflicts_with = "ephemeral")]
    pub receipt: bool,
    /// In a namespace with a gate: how long to wait after the last event for what
    /// becomes of it; 0s does not wait.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = wait)]
    pub wait: Duration,
    /// Where, and as whom.
    #[command(flatten)]
    pub edge: EdgeArgs,
}

/// `eddyline sub`.
#[derive(Debug, Args)]
pub struct Subscribe {
    /// The channels.
    #[arg(required = true)]
    pub channels: Vec<String>,
    /// Where to start: now, earliest, a sequence, or EPOCH:SEQUENCE, after which to
    /// go on.
    #[arg(long, default_value = "now", value_name = "PLACE")]
    pub from: String,
    /// End after this many events.
    #[arg(long, value_name = "N")]
    pub count: Option<u64>,
    /// Only events with this header; may be given several times. NAME=VALUE, where several
    /// values of one name mean any of them; NAME^=BEGINNING; NAME, whatever its value; !NAME:
    /// only those without it.
    #[arg(long = "header", value_name = "CONDITION")]
    pub headers: Vec<Demand>,
    /// Let the node be at most N events of each channel ahead of what is printed; the rest
    /// waits in the store.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=CREDIT_MAX))]
    pub credit: Option<u64>,
    /// Where, and as whom.
    #[command(flatten)]
    pub edge: EdgeArgs,
}

/// `eddyline presence`.
#[derive(Debug, Args)]
pub struct Presence {
    /// The channel; its namespace must have presence (`eddyline namespace apply --presence`).
    pub channel: String,
    /// Go on with who comes and goes. Whoever watches is on the channel too.
    #[arg(long)]
    pub watch: bool,
    /// How many there are, without their names.
    #[arg(long, conflicts_with = "watch")]
    pub count: bool,
    /// Where, and as whom.
    #[command(flatten)]
    pub edge: EdgeArgs,
}

/// `eddyline history`.
#[derive(Debug, Args)]
pub struct History {
    /// The channel.
    pub channel: String,
    /// Where to start: earliest, latest, a sequence, EPOCH:SEQUENCE (not with that event,
    /// but with the next one), a time (2026-01-31T12:00:00Z), or how long ago, such as
    /// 2h. Unless given: earliest, or backwards latest.
    #[arg(long, value_name = "PLACE")]
    pub from: Option<String>,
    /// Newest first.
    #[arg(long)]
    pub backwards: bool,
    /// Only events with this header, as for `sub`.
    #[arg(long = "header", value_name = "CONDITION")]
    pub headers: Vec<Demand>,
    /// Most events.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,
    /// Where, and as whom.
    #[command(flatten)]
    pub edge: EdgeArgs,
}

/// `eddyline trace`.
#[derive(Debug, Args)]
pub struct Trace {
    /// The event's id, as `sub --json` and `pub --json` show it. That of a function's output
    /// leads to its input.
    pub id: String,
    /// The channel that it was published on: an id is found there alone.
    #[arg(long)]
    pub channel: String,
    /// Where it stands, as its ack says; nothing is searched then.
    #[arg(long, value_name = "SEQ")]
    pub seq: Option<u64>,
    /// Where, and as whom; the token needs the scope trace.
    #[command(flatten)]
    pub edge: EdgeArgs,
}

/// `eddyline token`.
#[derive(Debug, Args)]
pub struct Token {
    /// The tenant.
    #[arg(long, default_value = "demo")]
    pub tenant: String,
    /// The user.
    #[arg(long, default_value = "dev")]
    pub user: String,
    /// What is allowed, ACTION:PATTERN with the actions publish, subscribe, replay and
    /// inputs (replay of what was sent to functions, and of what became of it); {user} in
    /// the pattern is the user itself. May be given several times.
    #[arg(long = "scope", value_name = "SCOPE", default_values = ["publish:>", "subscribe:>", "replay:>"])]
    pub scopes: Vec<String>,
    /// How long it is valid, such as 90m or 1day 12h.
    #[arg(long, default_value = TTL, value_parser = duration)]
    pub ttl: Duration,
    /// Which running `dev`, by its name; needed where several run.
    #[arg(long, env = "EDDYLINE_DEV", value_name = "NAME")]
    pub dev: Option<String>,
    /// File with the secret that signs it; that of a running `dev` unless given.
    #[arg(long, value_name = "FILE")]
    pub secret_file: Option<PathBuf>,
    /// The secret itself; only as a variable, since others can read command lines.
    #[arg(
        env = "EDDYLINE_TOKEN_SECRET",
        hide_env_values = true,
        hide = true,
        long,
        value_name = "SECRET"
    )]
    pub token_secret: Option<String>,
}

fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    let valid = rate > 0.0 && rate <= RATE_MAX;
    valid
        .then_some(rate)
        .ok_or_else(|| format!("must be more than 0 and at most {RATE_MAX}"))
}

fn wait(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| error.to_string())
}

fn duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    // A token's times are whole seconds (RFC 7519, section 2).
    if duration < Duration::from_secs(1) {
        return Err("must be at least 1s".to_owned());
    }
    Ok(duration)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn the_definition_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn commands_with_and_without_options() {
        let check = |line: &str, good: bool| assert_eq!(parse(line).is_ok(), good, "{line}");
        check("eddyline dev", true);
        check("eddyline dev --port 0 --port 0 --port 0 --json", true);
        check("eddyline --json demo --txns 100 --seed 3 --rate 50.5", true);
        check("eddyline dev --without-mirror", true);
        check("eddyline dev --without-mirror --grpc-port 1", false);
        check("eddyline demo --trace a --seed 3", false);
        check("eddyline demo --rate 0", false);
        check("eddyline demo --rate nan", false);
        check("eddyline demo --edge a:1 --edge b:1 --grpc c:1", true);
        check("eddyline demo --edge a:1", false);
        check("eddyline pub chat.a", true);
        check("eddyline pub chat.a - --header a=b", true);
        check("eddyline pub chat.a - --header a", false);
        check("eddyline pub chat.a - --wait 0s", true);
        check("eddyline pub chat.a - --receipt", true);
        check("eddyline pub chat.a 1 --receipt --ephemeral", false);
        check("eddyline pub chat.a - --wait soon", false);
        check("eddyline sub", false);
        check("eddyline sub chat.a --credit 10", true);
        check("eddyline sub chat.a --credit 0", false);
        check(
            "eddyline sub chat.a --header kind^=order. --header !draft",
            true,
        );
        check("eddyline history chat.a --header ^=x", false);
        check("eddyline sub chat.a chat.b --from earliest --count 2", true);
        check(
            "eddyline history chat.a --from 2h --backwards --limit 5",
            true,
        );
        check("eddyline history chat.a --limit 0", false);
        check("eddyline trace a/b/c/1 --channel chat.a --seq 7", true);
        check("eddyline trace a/b/c/1", false);
        check("eddyline replay chat.> --live --ingress", true);
        check("eddyline token --ttl 90m --scope publish:a", true);
        check("eddyline token --ttl 0s", false);
        check("eddyline revoke token j1 --tenant acme", true);
        check("eddyline revoke user ann --tenant acme --for 30d", true);
        check(
            "eddyline revoke session edge-1 --tenant acme --for ever",
            false,
        );
        check("eddyline revoke user ann", false);
        check("eddyline token --ttl forever", false);
        check("eddyline function list --json --nats nats://a:1", true);
        check(
            "eddyline function deploy a.wasm --on chat.> --limit attempts=3",
            true,
        );
        check("eddyline function deploy a.wasm --config a", false);
        check("eddyline function deploy --restart", false);
        check("eddyline function deploy --restart --start 2h", true);
        check("eddyline function logs -f --level warn", true);
        check("eddyline function logs shout --level loud", false);
        check("eddyline function top shout --once --interval 5s", true);
        check("eddyline function top --interval often", false);
        check("eddyline function rollback shout --to 3", true);
        check("eddyline namespace apply chat --gate shout", true);
        check("eddyline apply -f app.toml --dry-run", true);
        check("eddyline rejected list --function shout --since 2h", true);
        check("eddyline rejected redrive", false);
        check("eddyline rejected redrive 3 4", true);
        check("eddyline rejected drop --all --channel chat.>", true);
        check("eddyline rejected drop 3 --all", false);
        check("eddyline function new shout --lang js --reactive", true);
        check("eddyline function new", false);
        check("eddyline function test --write --json", true);
    }

    #[test]
    fn ports_default_to_two_nodes() {
        let Command::Dev(dev) = parse("eddyline dev").unwrap().command else {
            panic!("not dev");
        };
        assert_eq!(dev.ports, EDGE_PORTS);
    }
}
