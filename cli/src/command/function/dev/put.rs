//! Puts what an `eddyline.toml` says of one function into a stack, with the namespaces
//! that are there for it. Owns no state.

use std::collections::BTreeMap;

use bus::Bus;
use control::app::App;
use control::{Action, Deployer, Wanted};
use workbench::build::Built;
use workbench::project::Project;

use crate::config;
use crate::error::CliError;
use crate::output::Output;

/// Deploys the function and makes the namespaces that are not there.
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
    let modules = BTreeMap::from([(name.clone(), built.wasm)]);
    let deployer = Deployer::new(bus, config::who());
    let plan = deployer.plan(Wanted::of_app(&app, &modules)?).await?;
    for step in &plan.steps {
        deployer.carry_out(&plan, step).await?;
        for note in &step.notes {
            output.note(&format!("note: {note}"));
        }
        if step.action == Action::Create {
            output.note(&format!("created {}", step.what()));
        }
    }
    Ok(())
}
