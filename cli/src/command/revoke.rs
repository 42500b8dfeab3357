//! `eddyline revoke`: tokens, users and sessions, before their time.

use control::ControlError;
use protocol::name::{Tenant, User};
use protocol::revocation::{Revocation, Revoked};

use crate::args::revoke::{Revoke, RevokeCommand};
use crate::error::CliError;
use crate::nats;
use crate::output::Output;

/// Does one of them.
///
/// # Errors
/// A name is not valid; those of NATS.
pub async fn run(command: RevokeCommand, output: &Output) -> Result<(), CliError> {
    let (args, revoked) = match command {
        RevokeCommand::Token(args) => {
            let token = Revoked::Token(args.name.clone());
            (args, token)
        }
        RevokeCommand::User(args) => {
            let user = Revoked::User(nats::name::<User>(&args.name)?);
            (args, user)
        }
        RevokeCommand::Session(args) => {
            let session = Revoked::Session(args.name.clone());
            (args, session)
        }
    };
    let tenant: Tenant = nats::name(&args.tenant)?;
    let entry = revoke(&args, tenant, revoked).await?;
    output.result(&entry, || told(&entry))
}

async fn revoke(args: &Revoke, tenant: Tenant, revoked: Revoked) -> Result<Revocation, CliError> {
    let deployer = nats::deployer(&args.nats).await?;
    let done: Result<Revocation, ControlError> = deployer.revoke(tenant, revoked, args.lasts).await;
    Ok(done?)
}

fn told(entry: &Revocation) -> String {
    let tenant = &entry.tenant;
    match &entry.revoked {
        Revoked::Token(id) => format!("token {id} of {tenant} counts no more"),
        Revoked::User(user) => {
            format!("no token of {user} of {tenant} counts that was made until now")
        }
        Revoked::Session(name) => format!("session {name} of {tenant} ends"),
    }
}
