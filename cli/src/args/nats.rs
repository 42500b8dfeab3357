//! The arguments of commands that go to NATS itself: what a deployer uses.

use clap::Args;

/// Which NATS to go to, and in whose name.
#[derive(Debug, Args)]
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
    /// Who does it, as it is recorded beside what is written; USER@HOST unless given.
    #[arg(long, value_name = "WHO")]
    pub by: Option<String>,
}
