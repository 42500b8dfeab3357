//! What a plan asks of NATS for a function: whether it, and what is tried beside it, would be
//! accepted.
//!
//! Owns nothing.

use bytes::Bytes;
use control::{Action, ControlError, FunctionDraft, Thing, Wanted as Asked, alone};
use protocol::spec::Trigger;

use super::canary::Before;
use super::wanted::Wanted;
use crate::connection::{Connection, unasked};
use crate::diagnostic::{Diagnostic, Diagnostics, note};
use crate::schema::plan::Proposal;
use crate::value::Value;

/// Judges what is wanted of a function that was `prior`.
///
/// # Errors
/// What is refused of it.
pub async fn judge(
    on: &Connection,
    prior: &Value,
    proposal: &Proposal,
    wanted: &Wanted,
) -> Result<Diagnostics, Diagnostics> {
    let before = Before(prior);
    let stays = ["canary", "canary_digest"]
        .iter()
        .all(|name| proposal.planned.get(*name) == Some(prior.get(name)));
    // What a trial forbids is no rule for what is planned after its end.
    let ends = before.is_on_trial() && !stays;
    let draft = wanted.written.draft();
    let modules = wanted.modules.clone();
    let mut told = match ends {
        true => by_itself(draft.clone(), modules).await?,
        false => beside(on, prior, draft.clone(), modules).await?,
    };
    let begins = !(before.is_on_trial() && stays) && wanted.judged(&before).is_none();
    if let Some((trial, wasm)) = wanted.trial.as_ref().filter(|_| begins) {
        let (draft, modules) = (trial.draft(draft), wanted.tried(wasm));
        let judged = match ends || prior.is_null() {
            true => by_itself(draft, modules).await,
            false => beside(on, prior, draft, modules).await,
        };
        told.extend(judged.map_err(|all| all.into_iter().map(of_canary).collect::<Diagnostics>())?);
    }
    Ok(told)
}

fn of_canary(problem: Diagnostic) -> Diagnostic {
    let summary = match problem.summary.strip_prefix("canary: ") {
        Some(_) => problem.summary.clone(),
        None => format!("canary: {}", problem.summary),
    };
    Diagnostic { summary, ..problem }.at("canary")
}

async fn by_itself(draft: FunctionDraft, modules: Vec<Bytes>) -> Result<Diagnostics, Diagnostics> {
    let judged = alone::function(draft, modules, Some(running::compiled())).await;
    judged.map_err(|error| vec![error.into()])?;
    Ok(Vec::new())
}

/// Beside what there is, and what this run has planned.
async fn beside(
    on: &Connection,
    prior: &Value,
    draft: FunctionDraft,
    modules: Vec<Bytes>,
) -> Result<Diagnostics, Diagnostics> {
    let deployer = match on.deployer().await {
        Ok(deployer) => deployer,
        Err(why) => {
            by_itself(draft, modules).await?;
            return Ok(vec![unasked(&why)]);
        }
    };
    let asked = Asked {
        functions: vec![(draft, modules)],
        ..Asked::default()
    };
    let plan = deployer.plan_beside(asked, &on.pending()).await;
    let plan = plan.map_err(|error| vec![Diagnostic::from(error)])?;
    let mut told = Diagnostics::new();
    for step in &plan.steps {
        let Thing::Function(spec, _) = &step.thing else {
            continue;
        };
        if prior.is_null() && matches!(step.action, Action::Change(_)) {
            let what = step.what();
            return Err(vec![ControlError::Exists { what }.into()]);
        }
        // Whoever names a gate refers to it here, and so comes after it.
        if spec.trigger != Trigger::Gate || spec.paused.is_some() {
            told.extend(step.notes.iter().map(|text| note(text)));
        }
        on.expect_function((**spec).clone());
    }
    Ok(told)
}
