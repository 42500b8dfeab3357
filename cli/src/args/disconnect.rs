//! The arguments of `eddyline disconnect`.

use clap::{Args, Subcommand};

use super::nats::NatsArgs;

/// Whom to disconnect.
#[derive(Debug, Subcommand)]
pub enum DisconnectCommand {
    /// Close every session of a user, on every node.
    User(Disconnect),
    /// Close one session.
    Session(Disconnect),
}

/// `eddyline disconnect KIND NAME`.
#[derive(Debug, Args)]
pub struct Disconnect {
    /// Which: the name of a user, or of a session as `connect` told it.
    pub name: String,
    /// Its tenant.
    #[arg(long, value_name = "TENANT")]
    pub tenant: String,
    /// Where.
    #[command(flatten)]
    pub nats: NatsArgs,
}
