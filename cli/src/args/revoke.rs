//! The arguments of `eddyline revoke`.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::nats::NatsArgs;
use super::value;

/// What to revoke.
#[derive(Debug, Subcommand)]
pub enum RevokeCommand {
    /// Revoke a token by its jti: it counts no more, wherever it is used.
    Token(Revoke),
    /// Revoke every token of a user that was made until now.
    User(Revoke),
    /// End a session; its token still counts.
    Session(Revoke),
}

/// `eddyline revoke KIND NAME`.
#[derive(Debug, Args)]
pub struct Revoke {
    /// Which: the jti of a token, the name of a user, or of a session as `connect` told it.
    pub name: String,
    /// Its tenant.
    #[arg(long, value_name = "TENANT")]
    pub tenant: String,
    /// How long it is revoked: as long as the token could last; at most 90 days.
    #[arg(long = "for", value_name = "TIME", default_value = "90d", value_parser = value::duration)]
    pub lasts: Duration,
    /// Where.
    #[command(flatten)]
    pub nats: NatsArgs,
}
