//! `eddyline function pause`, `resume`, `rollback` and `remove`: what takes one word.

use control::Deployed;
use protocol::name::FunctionName;
use protocol::spec::FunctionSpec;
use serde::Serialize;

use super::list::version;
use crate::args::function::{Named, Rollback};
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

/// Pauses a function, or lets it go on.
///
/// # Errors
/// NATS cannot be reached or written; there is no such function.
pub async fn pause(args: &Named, paused: bool, output: &Output) -> Result<(), CliError> {
    let name: FunctionName = nats::name(&args.name)?;
    let deployer = nats::deployer(&args.nats).await?;
    let deployed = deployer.pause(&name, paused).await?;
    let text = match (paused, deployed.changed) {
        (true, true) => format!(
            "{name} is paused: its inputs wait until `eddyline function resume {name}`, for as \
             long as its store keeps them"
        ),
        (true, false) => format!("{name} was paused already"),
        (false, true) => format!("{name} goes on where it was paused"),
        (false, false) => format!("{name} was not paused"),
    };
    tell(&deployed, text, output)
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
    tell(&deployed, text, output)
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
