//! The arguments of commands that go to NATS itself: what a deployer uses.

use std::path::PathBuf;

use clap::Args;

/// Which NATS to go to, and in whose name.
#[derive(Debug, Default, Args)]
pub struct NatsArgs {
    /// Which running `dev`, by its name; needed where several run.
    #[arg(long, env = "EDDYLINE_DEV", value_name = "NAME")]
    pub dev: Option<String>,
    /// NATS, with the user that may deploy (nats://USER:PASSWORD@HOST:PORT); that of a
    /// running `dev` unless given.
    #[arg(
        long,
        env = "EDDYLINE_NATS_URL",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub nats: Option<String>,
    /// A PEM file with the authorities that vouch for a NATS with TLS; the machine's own
    /// unless given.
    #[arg(long, env = "EDDYLINE_NATS_CA", value_name = "FILE")]
    pub nats_ca: Option<PathBuf>,
    /// A file with the operator's JWT and seed (.creds), in place of a password.
    #[arg(long, env = "EDDYLINE_NATS_CREDENTIALS", value_name = "FILE")]
    pub nats_credentials: Option<PathBuf>,
    /// A file with the seed of the operator's nkey, in place of a password.
    #[arg(long, env = "EDDYLINE_NATS_NKEY", value_name = "FILE")]
    pub nats_nkey: Option<PathBuf>,
    /// Who does it, as it is recorded beside what is written; USER@HOST unless given.
    #[arg(long, value_name = "WHO")]
    pub by: Option<String>,
}
