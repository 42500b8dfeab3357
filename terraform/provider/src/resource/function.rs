//! `eddyline_function`. Owns its schema.

mod attributes;
mod canary;
mod module;
mod spec;
mod trial;
mod wanted;

use bus::BusError;
use control::{ControlError, Expected, alone};
use protocol::name::FunctionName;

use self::attributes::attributes;
use self::canary::Before;
pub use self::module::read_module;
use self::spec::{state, written};
use self::trial::judge;
use self::wanted::Wanted;
use crate::connection::Connection;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::fields::{Fields, fill};
use crate::resource::lifecycle::{Done, Resource, named};
use crate::schema::Schema;
use crate::schema::plan::{Proposal, propose};
use crate::value::{Object, Value};

/// The resource.
pub struct Functions(Schema);

impl Default for Functions {
    /// With its schema.
    fn default() -> Self {
        Self(Schema {
            description: "A function: a module and what it handles. Removed, its checkpoints stay, \
                          so that one of the same name goes on from there.",
            attributes: attributes(),
        })
    }
}

/// Deploys a function, and what is tried beside it.
async fn put(on: &Connection, expected: Expected, prior: &Value, planned: &Object) -> Done {
    let planned = Value::Map(planned.clone());
    let wanted = Wanted::read(&planned)?;
    let wanted = wanted.ok_or_else(|| vec![Diagnostic::error("not everything is known", "")])?;
    let digests = wanted.digests();
    let mut known = digests
        .iter()
        .filter(|(name, _)| planned.get(name).is_known());
    if known.any(|(name, now)| planned.get(name) != now) {
        let detail = "Nothing was deployed. Plan again, and apply what is there now.";
        let summary = "a module has changed since the plan was made";
        return Err(vec![Diagnostic::error(summary, detail).at("module")]);
    }
    let deployer = on.deployer().await.map_err(|error| vec![error])?;
    let failed = |error| vec![Diagnostic::from(error)];
    let (draft, modules) = (wanted.written.draft(), wanted.modules.clone());
    let trial = wanted.trial.as_ref();
    canary::end_other(&deployer, &draft.name, &modules, trial, expected).await?;
    let own = deployer.clone().expecting(expected);
    let mut deployed = own.deploy(draft.clone(), modules).await.map_err(failed)?;
    if let Some((trial, wasm)) = trial
        && wanted.judged(&Before(prior)).is_none()
    {
        let beside = deployer.clone();
        let beside = beside.expecting(Expected::Revision(deployed.revision));
        let tried = beside.deploy(trial.draft(draft), wanted.tried(wasm)).await;
        deployed = tried.map_err(failed)?;
    }
    let land = deployer.landscape().await;
    let land = land.map_err(|error| vec![Diagnostic::from(error)])?;
    let mut basis = planned.object().cloned().unwrap_or_default();
    let version = prior.get("canary_version").clone();
    basis.insert("canary_version".to_owned(), version);
    let found = state(&land, &deployed.spec, deployed.revision, &Value::Map(basis));
    let planned = planned.object().cloned().unwrap_or_default();
    Ok((fill(&planned, &found), Vec::new()))
}

#[tonic::async_trait]
impl Resource for Functions {
    fn name(&self) -> &'static str {
        "eddyline_function"
    }

    fn schema(&self) -> &Schema {
        &self.0
    }

    fn validate(&self, config: &Value) -> Diagnostics {
        let filled = Value::Map(propose(&self.0, &Value::Null, config).planned);
        let judged = written(&filled).and_then(|written| {
            canary::wanted(&filled)?;
            let Some(written) = written else {
                return Ok(());
            };
            alone::fields(&written.draft()).map_err(|error| vec![error.into()])
        });
        judged.err().unwrap_or_default()
    }

    async fn plan(&self, on: &Connection, prior: &Value, proposal: &mut Proposal) -> Diagnostics {
        if !proposal.replaces.is_empty() {
            // It is asked for anew, as one that is to be made.
            return Vec::new();
        }
        let wanted = match Wanted::read(&Value::Map(proposal.planned.clone())) {
            Err(problems) => return problems,
            Ok(None) => return Vec::new(),
            Ok(Some(wanted)) => wanted,
        };
        let before = Before(prior);
        let advice = wanted.judged(&before).map(|trial| before.advice(trial));
        if let Some(advice) = advice.clone().filter(|_| before.was_promoted()) {
            // What is deployed is what was tried: deploying the rest would take it back.
            return vec![Diagnostic {
                is_error: proposal.changes,
                ..advice
            }];
        }
        let digests = wanted.digests();
        if digests.iter().any(|(name, now)| prior.get(name) != now) {
            proposal.changed(&self.0);
        }
        proposal.know(digests);
        if !proposal.changes {
            return advice.into_iter().collect();
        }
        if wanted.trial.is_none() {
            proposal.know(["canary_version", "canary_state"].map(|name| (name, Value::Null)));
        }
        let judged = judge(on, prior, proposal, &wanted).await;
        let mut told = judged.unwrap_or_else(|problems| problems);
        told.extend(advice);
        let (was, start) = (prior.get("start"), &proposal.planned["start"]);
        if !was.is_null() && was != start {
            let detail = "A function that is deployed keeps where it began.";
            told.push(Diagnostic::warning("start changes nothing", detail).at("start"));
        }
        told
    }

    async fn read(&self, on: &Connection, prior: &Value) -> Result<Option<Object>, Diagnostics> {
        let Some(name) = Fields::of(prior).read::<FunctionName>("name") else {
            return Ok(None);
        };
        let deployer = on.deployer().await.map_err(|error| vec![error])?;
        match deployer.landscape().await {
            Ok(land) => {
                let unreadable = land.readable(name.as_str());
                unreadable.map_err(|error| vec![error.into()])?;
                let entry = land.functions.get(&name);
                Ok(entry.map(|entry| state(&land, &entry.spec, entry.revision, prior)))
            }
            Err(BusError::NotFound) => Ok(None),
            Err(error) => Err(vec![error.into()]),
        }
    }

    async fn create(&self, on: &Connection, planned: &Object) -> Done {
        put(on, Expected::New, &Value::Null, planned).await
    }

    async fn update(&self, on: &Connection, prior: &Value, planned: &Object) -> Done {
        let seen = prior.get("revision").as_u64();
        let expected = seen.map_or(Expected::Whatever, Expected::Revision);
        put(on, expected, prior, planned).await
    }

    async fn remove(&self, on: &Connection, prior: &Value) -> Result<(), Diagnostics> {
        let Some(name) = Fields::of(prior).read::<FunctionName>("name") else {
            return Ok(());
        };
        let deployer = on.deployer().await.map_err(|error| vec![error])?;
        let seen = prior.get("revision").as_u64();
        let expected = seen.map_or(Expected::Whatever, Expected::Revision);
        canary::end_other(&deployer, &name, &[], None, expected).await?;
        match deployer.expecting(expected).remove_function(&name).await {
            Ok(_) | Err(ControlError::Missing { .. }) => Ok(()),
            Err(error) => Err(vec![error.into()]),
        }
    }

    fn import(&self, id: &str) -> Result<Object, Diagnostic> {
        let name = FunctionName::parse(id);
        name.map_err(|error| Diagnostic::error(error.to_string(), "The id is its name."))?;
        Ok(named(id))
    }
}
