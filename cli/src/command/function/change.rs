//! `eddyline function pause`, `resume`, `promote`, `rollback` and `remove`: what takes one
//! word.

use control::Deployed;
use protocol::name::FunctionName;
use protocol::spec::FunctionSpec;
use serde::Serialize;

use super::list::version;
use crate::args::function::{Named, Promote, Resume, Rollback};
use crate::command::rollout;
use crate::error::CliError;
use crate::nats;
use crate::output::Output;

#[derive(Serialize)]
struct Told<'a> {
    function: &'a FunctionSpec,
    changed: bool,
    notes: &'a [String],
}

/// Tells what became of a function.
fn tell(deployed: &Deployed, text: String, output: &Output) -> Result<(), CliError> {
    let told = Told {
        function: &deployed.spec,
        changed: deployed.changed,
        notes: &deployed.notes,
    };
    for note in &deployed.notes {
        output.note(&format!("note: {note}"));
    }
    output.result(&told, || text)
}

/// Lets a function's inputs wait.
///
/// # Errors
/// NATS cannot be reached or written; there is no such function.
pub async fn pause(args: &Named, output: &Output) -> Result<(), CliError> {
    let name: FunctionName = nats::name(&args.name)?;
    let deployer = nats::deployer(&args.nats).await?;
    let deployed = deployer.pause(&name, true).await?;
    let text = match deployed.changed {
        true => format!(
            "{name} is paused: its inputs wait until `eddyline function resume {name}`, for as \
             long as its store keeps them"
        ),
        false => format!("{name} was paused already"),
    };
    tell(&deployed, text, output)
}

/// Lets a paused function go on.
///
/// # Errors
/// NATS cannot be reached or written; there is no such function; a lane does not run it.
pub async fn resume(args: &Resume, output: &Output) -> Result<(), CliError> {
    let name: FunctionName = nats::name(&args.name)?;
    let deployer = nats::deployer(&args.nats).await?;
    let deployed = deployer.pause(&name, false).await?;
    let text = match deployed.changed {
        true => format!("{name} goes on where it was paused"),
        false => format!("{name} was not paused"),
    };
    tell(&deployed, text, output)?;
    rollout::wait(&deployer, &deployed, &args.wait, output).await
}

/// Ends a trial well.
///
/// # Errors
/// NATS cannot be reached or written; there is no such function, or none on trial.
pub async fn promote(args: &Promote, output: &Output) -> Result<(), CliError> {
    let name: FunctionName = nats::name(&args.name)?;
    let deployer = nats::deployer(&args.nats).await?;
    let deployed = deployer.promote(&name).await?;
    let version = deployed.spec.version;
    let text = format!("version {version} of {name} has every channel from now on");
    tell(&deployed, text, output)?;
    rollout::wait(&deployer, &deployed, &args.wait, output).await
}

/// Goes back to an earlier version.
///
/// # Errors
/// NATS cannot be reached or written; there is no such function or version.
pub async fn rollback(args: &Rollback, output: &Output) -> Result<(), CliError> {
    let name: FunctionName = nats::name(&args.name)?;
    let deployer = nats::deployer(&args.nats).await?;
    let deployed = deployer.rollback(&name, args.to).await?;
    let version = version(deployed.spec.version, deployed.spec.repeats);
    let text = format!("{name} is deployed as version {version}");
    tell(&deployed, text, output)?;
    rollout::wait(&deployer, &deployed, &args.wait, output).await
}

/// Withdraws a function.
///
/// # Errors
/// NATS cannot be reached or written; there is no such function, or it is a gate.
pub async fn remove(args: &Named, output: &Output) -> Result<(), CliError> {
    let name: FunctionName = nats::name(&args.name)?;
    let deployer = nats::deployer(&args.nats).await?;
    let spec = deployer.remove_function(&name).await?;
    let text = format!(
        "{name} is removed; deployed again under its name, it goes on where it was stopped"
    );
    let told = Told {
        function: &spec,
        changed: true,
        notes: &[],
    };
    output.result(&told, || text)
}
