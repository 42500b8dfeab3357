//! `eddyline apply`: an application's namespaces and functions, as its file says.

use control::Wanted;

use super::application;
use super::rollout;
use crate::args::namespace::Apply;
use crate::error::CliError;
use crate::nats;
use crate::output::Output;

/// Plans it, and does it unless that is only asked.
///
/// # Errors
/// The file or a module cannot be used; NATS cannot be reached or written; something is
/// not accepted, and then nothing is changed.
pub async fn run(args: &Apply, output: &Output) -> Result<(), CliError> {
    let project = application::read(&args.file)?;
    let wanted = Wanted::of_app(&project.app, &project.modules()?)?;
    let deployer = nats::deployer(&args.nats).await?;
    let plan = deployer.plan(wanted).await?;
    let done = application::carry_out(&deployer, &plan, args.dry_run, output).await;
    let deployed = done.map_err(|error| match error.hint {
        None => error.hint("what was done stays; `eddyline apply` again does the rest"),
        Some(_) => error,
    })?;
    if plan.is_empty() {
        return output.text("everything is as the file says");
    }
    if args.dry_run {
        return output.text("nothing was done: `eddyline apply` without --dry-run does it");
    }
    for deployed in deployed.iter().filter(|deployed| deployed.changed) {
        rollout::wait(&deployer, deployed, &args.wait, output).await?;
    }
    Ok(())
}
