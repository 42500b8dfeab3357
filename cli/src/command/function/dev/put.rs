//! Puts what an `eddyline.toml` says of one function into a stack, with the namespaces
//! that are there for it. Owns no state.

use std::collections::BTreeMap;
use std::time::Duration;

use bus::Bus;
use control::app::App;
use control::{Action, Deployed, Deployer, Wanted};
use workbench::build::Built;
use workbench::project::Project;

use super::super::build::DIGITS;
use crate::error::CliError;
use crate::output::Output;

/// How long a worker may take to compile a function: an interpreter takes 25 s of a core.
const TAKEOVER_MAX: Duration = Duration::from_secs(60);

/// Deploys the function, makes the namespaces that are not there, and waits until every
/// lane runs it.
///
/// # Errors
/// Something is not accepted, and then nothing is changed.
pub(super) async fn put(
    bus: &Bus,
    project: &Project,
    built: Built,
    output: &Output,
) -> Result<(), CliError> {
    let name = &project.name;
    let mut app: App = project.app.clone();
    // Another function's namespaces come with that function.
    let is_ours = |gate: &Option<_>| gate.as_ref().is_none_or(|gate| gate == name);
    app.namespaces.retain(|_, entry| is_ours(&entry.gate));
    app.functions.retain(|other, _| other == name);
    let modules = BTreeMap::from([(name.clone(), built.modules)]);
    let deployer = Deployer::new(bus, running::who()).compiled(running::compiled());
    let plan = deployer.plan(Wanted::of_app(&app, &modules)?).await?;
    let mut deployed = None;
    for step in &plan.steps {
        deployed = deployer.carry_out(&plan, step).await?.or(deployed);
        for note in &step.notes {
            output.note(&format!("note: {note}"));
        }
        if step.action == Action::Create {
            output.note(&format!("created {}", step.what()));
        }
    }
    match deployed {
        Some(deployed) => taken_over(&deployer, &deployed, output).await,
        None => Ok(()),
    }
}

/// Waits until every lane runs it, and says so, or which does not and why.
async fn taken_over(
    deployer: &Deployer,
    deployed: &Deployed,
    output: &Output,
) -> Result<(), CliError> {
    let spec = &deployed.spec;
    let waited = deployer.rollout(spec, deployed.revision, TAKEOVER_MAX);
    let rollout = waited.await?;
    for (reason, lanes) in &rollout.waiting {
        let lanes: Vec<String> = lanes.iter().map(u16::to_string).collect();
        output.note(&format!("lanes {}: {reason}", lanes.join(", ")));
    }
    let (running, lanes) = (rollout.running, rollout.lanes);
    let digest = &spec.digest.as_str()[..DIGITS];
    let name = &spec.name;
    output.note(&format!(
        "{name} {digest} runs on {running} of {lanes} lanes"
    ));
    Ok(())
}
