//! `eddyline disconnect`: sessions, and those of users, that may come back.

use protocol::disconnect::{Disconnect, Whom};
use protocol::name::{Tenant, User};

use crate::args::disconnect::DisconnectCommand;
use crate::error::CliError;
use crate::nats;
use crate::output::Output;

/// Does one of them.
///
/// # Errors
/// A name is not valid; those of NATS.
pub async fn run(command: DisconnectCommand, output: &Output) -> Result<(), CliError> {
    let (args, whom) = match command {
        DisconnectCommand::User(args) => {
            let user = Whom::User(nats::name::<User>(&args.name)?);
            (args, user)
        }
        DisconnectCommand::Session(args) => {
            let session = Whom::Session(args.name.as_str().into());
            (args, session)
        }
    };
    let tenant: Tenant = nats::name(&args.tenant)?;
    let deployer = nats::deployer(&args.nats).await?;
    let entry = deployer.disconnect(tenant, whom).await?;
    output.result(&entry, || told(&entry))
}

fn told(entry: &Disconnect) -> String {
    let tenant = &entry.tenant;
    match &entry.whom {
        Whom::User(user) => format!("the sessions of {user} of {tenant} are closed"),
        Whom::Session(name) => format!("session {name} of {tenant} is closed"),
    }
}
