//! `eddyline_function`. Owns its schema.

mod attributes;
mod spec;

use bus::BusError;
use bytes::Bytes;
use control::{Action, ControlError, Expected, Thing, Wanted, alone};
use protocol::name::FunctionName;
use protocol::spec::Trigger;

use self::attributes::attributes;
pub use self::spec::read_module;
use self::spec::{Written, digests, state, written};
use crate::connection::{Connection, unasked};
use crate::diagnostic::{Diagnostic, Diagnostics, note};
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

impl Functions {
    /// Plans with NATS: what would be refused, and what is there already.
    async fn judge(
        &self,
        on: &Connection,
        prior: &Value,
        written: &Written,
        modules: Vec<Bytes>,
    ) -> Result<Diagnostics, Diagnostics> {
        let draft = written.draft();
        let deployer = match on.deployer().await {
            Ok(deployer) => deployer,
            Err(why) => {
                let judged = alone::function(draft, modules, Some(running::compiled())).await;
                judged.map_err(|error| vec![error.into()])?;
                return Ok(vec![unasked(&why)]);
            }
        };
        let wanted = Wanted {
            functions: vec![(draft, modules)],
            ..Wanted::default()
        };
        let plan = deployer.plan_beside(wanted, &on.pending()).await;
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

    async fn put(&self, on: &Connection, expected: Expected, planned: &Object) -> Done {
        let planned = Value::Map(planned.clone());
        let written = written(&planned)?;
        let written =
            written.ok_or_else(|| vec![Diagnostic::error("not everything is known", "")])?;
        let modules = written.modules().map_err(|problem| vec![problem])?;
        let changed = digests(&modules)
            .iter()
            .any(|(name, now)| planned.get(name).is_known() && planned.get(name) != now);
        if changed {
            let detail = "Nothing was deployed. Plan again, and apply what is there now.";
            let summary = "module has changed since the plan was made";
            return Err(vec![Diagnostic::error(summary, detail).at("module")]);
        }
        let deployer = on.deployer().await.map_err(|error| vec![error])?;
        let deployer = deployer.expecting(expected);
        let deployed = deployer.deploy(written.draft(), modules).await;
        let deployed = deployed.map_err(|error| vec![Diagnostic::from(error)])?;
        let found = state(&deployed.spec, deployed.revision, &planned);
        let planned = planned.object().cloned().unwrap_or_default();
        Ok((fill(&planned, &found), Vec::new()))
    }
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
        let filled = propose(&self.0, &Value::Null, config);
        match written(&Value::Map(filled.planned)) {
            Err(problems) => problems,
            Ok(None) => Vec::new(),
            Ok(Some(written)) => match alone::fields(&written.draft()) {
                Ok(()) => Vec::new(),
                Err(error) => vec![error.into()],
            },
        }
    }

    async fn plan(&self, on: &Connection, prior: &Value, proposal: &mut Proposal) -> Diagnostics {
        if !proposal.replaces.is_empty() {
            // It is asked for anew, as one that is to be made.
            return Vec::new();
        }
        let written = match written(&Value::Map(proposal.planned.clone())) {
            Err(problems) => return problems,
            Ok(None) => return Vec::new(),
            Ok(Some(written)) => written,
        };
        let modules = match written.modules() {
            Err(problem) => return vec![problem],
            Ok(modules) => modules,
        };
        let digests = digests(&modules);
        if digests.iter().any(|(name, now)| prior.get(name) != now) {
            proposal.changed(&self.0);
        }
        for (name, now) in digests {
            proposal.planned.insert(name.to_owned(), now);
        }
        if !proposal.changes {
            return Vec::new();
        }
        let judged = self.judge(on, prior, &written, modules).await;
        let mut told = judged.unwrap_or_else(|problems| problems);
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
                Ok(entry.map(|entry| state(&entry.spec, entry.revision, prior)))
            }
            Err(BusError::NotFound) => Ok(None),
            Err(error) => Err(vec![error.into()]),
        }
    }

    async fn create(&self, on: &Connection, planned: &Object) -> Done {
        self.put(on, Expected::New, planned).await
    }

    async fn update(&self, on: &Connection, prior: &Value, planned: &Object) -> Done {
        let seen = prior.get("revision").as_u64();
        let expected = seen.map_or(Expected::Whatever, Expected::Revision);
        self.put(on, expected, planned).await
    }

    async fn remove(&self, on: &Connection, prior: &Value) -> Result<(), Diagnostics> {
        let Some(name) = Fields::of(prior).read::<FunctionName>("name") else {
            return Ok(());
        };
        let deployer = on.deployer().await.map_err(|error| vec![error])?;
        let seen = prior.get("revision").as_u64();
        let expected = seen.map_or(Expected::Whatever, Expected::Revision);
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
