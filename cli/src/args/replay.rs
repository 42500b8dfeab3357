//! The arguments of `eddyline replay`.

use std::path::PathBuf;

use clap::Args;
use protocol::name::FunctionName;

/// Slowest and fastest replay, times the speed at which events were stored.
const PACE_MIN: f64 = 0.01;
const PACE_MAX: f64 = 10_000.0;

/// `eddyline replay`.
#[derive(Debug, Args)]
pub struct Replay {
    /// The channels: a name, or a pattern with NATS wildcards such as 'chat.>'. The
    /// first word must not be one.
    pub channels: String,
    /// Where to start: earliest, a sequence, a time, how long ago (2h), or the token that
    /// an earlier replay ended with.
    #[arg(long, default_value = "earliest", value_name = "PLACE")]
    pub from: String,
    /// End with this sequence.
    #[arg(long, value_name = "SEQUENCE", conflicts_with = "live")]
    pub until: Option<u64>,
    /// Go on with live events instead of ending with what is stored.
    #[arg(long)]
    pub live: bool,
    /// Give events at this many times the speed at which they were stored, 1 for the same;
    /// as fast as it goes unless given.
    #[arg(long, value_name = "TIMES", value_parser = pace)]
    pub pace: Option<f64>,
    /// Read the raw input, before functions, instead of the events; needs the scope
    /// inputs.
    #[arg(long, group = "kind")]
    pub ingress: bool,
    /// Read what publishers were told of inputs on these channels that a gate did not pass
    /// on; needs the scope inputs.
    #[arg(long, group = "kind")]
    pub outcomes: bool,
    /// Read the dead letters of this function, of inputs on these channels; needs the
    /// scope inputs.
    #[arg(long, group = "kind", value_name = "FUNCTION")]
    pub dead_letters: Option<FunctionName>,
    /// End after this many events.
    #[arg(long, value_name = "N")]
    pub count: Option<u64>,
    /// Which running `dev`, by its name; needed where several run.
    #[arg(long, env = "EDDYLINE_DEV", value_name = "NAME")]
    pub dev: Option<String>,
    /// The bridge's gRPC, HOST:PORT, or https://HOST:PORT for one with TLS; that of a
    /// running `dev` unless given.
    #[arg(long, env = "EDDYLINE_GRPC", value_name = "ADDRESS")]
    pub grpc: Option<String>,
    /// A PEM file with the authorities that are trusted to vouch for a bridge with TLS;
    /// the machine's own unless given.
    #[arg(long, env = "EDDYLINE_ROOTS", value_name = "FILE")]
    pub roots: Option<PathBuf>,
    /// The token; that of a running `dev` unless given.
    #[arg(long, env = "EDDYLINE_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
}

fn pace(text: &str) -> Result<f64, String> {
    let pace: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    let valid = (PACE_MIN..=PACE_MAX).contains(&pace);
    valid
        .then_some(pace)
        .ok_or_else(|| format!("must be {PACE_MIN} to {PACE_MAX}"))
}
