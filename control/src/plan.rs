//! A whole application: what would be changed for it, and that done in its order.
//!
//! Owns the plan. What an application no longer names stays: only a person removes.

use std::collections::BTreeMap;

use bus::BusError;
use bytes::Bytes;
use protocol::name::FunctionName;
use protocol::spec::{FunctionSpec, NamespaceSpec};
use serde::Serialize;
use serde_json::Value;

use crate::app::App;
use crate::deployer::Deployer;
use crate::draft::FunctionDraft;
use crate::error::ControlError;
use crate::function::Deployed;
use crate::landscape::{Entry, Landscape, Pending};
use crate::namespace::NamespaceDraft;
use crate::rules;

/// What a spec says of itself: which version it is, and who wrote it.
const OWN_ACCOUNT: [&str; 5] = ["name", "version", "repeats", "paused", "deployed"];

/// What is wanted, all together.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Namespaces.
    pub namespaces: Vec<NamespaceDraft>,
    /// Functions, each with the modules of its stages.
    pub functions: Vec<(FunctionDraft, Vec<Bytes>)>,
}

/// What is to be done, in this order.
#[derive(Debug, Clone)]
pub struct Plan {
    land: Landscape,
    /// The steps.
    pub steps: Vec<Step>,
}

/// One thing of an application.
#[derive(Debug, Clone)]
pub struct Step {
    /// What it is to be.
    pub thing: Thing,
    /// What is to be done.
    pub action: Action,
    /// What is accepted but not as it should be.
    pub notes: Vec<String>,
}

/// A namespace or a function.
#[derive(Debug, Clone)]
pub enum Thing {
    /// A namespace.
    Namespace(NamespaceSpec),
    /// A function with the modules of its stages.
    Function(Box<FunctionSpec>, Vec<Bytes>),
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It is not there.
    Create,
    /// It is different.
    Change(Vec<Difference>),
    /// It is there, and the same.
    Keep,
}

/// A field that is to be different.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Which, with points between its levels.
    pub field: String,
    /// What it is.
    pub from: Value,
    /// What it is to be.
    pub to: Value,
}

impl Step {
    /// What it is about, for people.
    pub fn what(&self) -> String {
        match &self.thing {
            Thing::Namespace(spec) => format!("namespace {}", spec.name),
            Thing::Function(spec, _) => format!("function {}", spec.name),
        }
    }
}

impl Plan {
    /// Whether everything is as it should be.
    pub fn is_empty(&self) -> bool {
        self.steps.iter().all(|step| step.action == Action::Keep)
    }
}

impl Wanted {
    /// All of an application. `modules` holds those of each of its functions.
    ///
    /// # Errors
    /// [`ControlError::Missing`]: one of them is not there.
    pub fn of_app(
        app: &App,
        modules: &BTreeMap<FunctionName, Vec<Bytes>>,
    ) -> Result<Self, ControlError> {
        let namespaces = app.namespaces.iter().map(|(name, entry)| NamespaceDraft {
            name: name.clone(),
            store: entry.store.clone(),
            gate: entry.gate.clone(),
            classes: entry.classes,
            conflate: entry.conflate.clone(),
            batch_ms: entry.batch_ms,
            quota_bytes: entry.quota_bytes,
            presence: entry.presence,
        });
        let functions = app.functions.iter().map(|(name, entry)| {
            let modules = modules.get(name).ok_or_else(|| ControlError::Missing {
                what: format!("module of {name}"),
            })?;
            let draft = FunctionDraft::of_entry(name.clone(), entry);
            Ok((draft, modules.clone()))
        });
        Ok(Self {
            namespaces: namespaces.collect(),
            functions: functions.collect::<Result<_, ControlError>>()?,
        })
    }
}

impl Deployer {
    /// Judges what is wanted beside what there is, and plans what it needs.
    ///
    /// # Errors
    /// [`ControlError`] names the part and its field. Nothing is changed.
    pub async fn plan(&self, wanted: Wanted) -> Result<Plan, ControlError> {
        self.plan_beside(wanted, &Pending::default()).await
    }

    /// The same, after what is pending. Where nothing has been set up, there is nothing yet.
    ///
    /// # Errors
    /// As [`Self::plan`].
    pub async fn plan_beside(
        &self,
        wanted: Wanted,
        pending: &Pending,
    ) -> Result<Plan, ControlError> {
        let mut land = match self.landscape().await {
            Err(BusError::NotFound) => Landscape::default(),
            land => land?,
        };
        land.namespaces
            .retain(|name, _| !pending.gone.contains(name));
        let (mut planned, mut things) = (land.after(pending), Vec::new());
        for draft in wanted.namespaces {
            let name = draft.name.clone();
            let spec = self.namespace_spec(&land, draft);
            let spec = spec.map_err(|error| error.of(format!("namespace {name}")))?;
            planned.namespaces.insert(name, entry_of(spec.clone()));
            things.push(Thing::Namespace(spec));
        }
        for (draft, modules) in wanted.functions {
            let name = draft.name.clone();
            let spec = self.function_spec(&land, draft, &modules).await;
            let spec = spec.map_err(|error| error.of(format!("function {name}")))?;
            planned.functions.insert(name, entry_of(spec.clone()));
            things.push(Thing::Function(Box::new(spec), modules));
        }
        let mut judged = Vec::with_capacity(things.len());
        for thing in things {
            judged.push(self.step(thing, &land, &planned).await?);
        }
        judged.sort_by_key(turn);
        Ok(Plan {
            land,
            steps: judged,
        })
    }

    async fn step(
        &self,
        thing: Thing,
        land: &Landscape,
        planned: &Landscape,
    ) -> Result<Step, ControlError> {
        let mut step = Step {
            thing,
            action: Action::Keep,
            notes: Vec::new(),
        };
        let judged = match &step.thing {
            Thing::Namespace(spec) => {
                let before = land.namespaces.get(&spec.name).map(|entry| &entry.spec);
                step.action = action(before, spec);
                match rules::namespace(spec, before, planned) {
                    Err(error) => Err(error.into()),
                    Ok(notes) => {
                        let checked = self.check_classes(spec, land, planned).await;
                        checked.map(|()| notes)
                    }
                }
            }
            Thing::Function(spec, modules) => {
                let before = land.functions.get(&spec.name).map(|entry| &entry.spec);
                step.action = match (before, &spec.canary) {
                    (Some(before), Some(canary)) if before != &**spec => {
                        Action::Change(differences(before, &*canary.candidate))
                    }
                    _ => action(before, &**spec),
                };
                self.judge(spec, modules, land, planned).await
            }
        };
        step.notes = judged.map_err(|error| error.of(step.what()))?;
        Ok(step)
    }

    /// Does one step of a plan. Steps are done in their order; one that was done before
    /// changes nothing, so that a plan which was interrupted is made and done anew. Returns
    /// the function that is deployed now, if the step is one's.
    ///
    /// # Errors
    /// [`ControlError`] names the part; the steps before it are done.
    pub async fn carry_out(
        &self,
        plan: &Plan,
        step: &Step,
    ) -> Result<Option<Deployed>, ControlError> {
        let done = match &step.thing {
            Thing::Namespace(spec) => {
                let put = self.put_namespace(&plan.land, spec.clone(), Vec::new());
                put.await.map(|_| None)
            }
            Thing::Function(spec, modules) => {
                let spec = FunctionSpec::clone(spec);
                let put = self.put_function(&plan.land, spec, modules.clone(), Vec::new());
                put.await.map(Some)
            }
        };
        done.map_err(|error| error.of(step.what()))
    }
}

/// A spec that is planned has no revision yet.
fn entry_of<T>(spec: T) -> Entry<T> {
    Entry { spec, revision: 0 }
}

/// Namespaces that functions emit to come before these; those behind a gate come last, so
/// that nothing is accepted that nobody handles.
fn turn(step: &Step) -> u8 {
    match &step.thing {
        Thing::Namespace(spec) if spec.gate().is_none() => 0,
        Thing::Function(..) => 1,
        Thing::Namespace(_) => 2,
    }
}

fn action<T: Serialize + PartialEq>(before: Option<&T>, spec: &T) -> Action {
    match before {
        None => Action::Create,
        Some(before) if before == spec => Action::Keep,
        Some(before) => Action::Change(differences(before, spec)),
    }
}

/// The fields in which two specs differ, but for what they say of themselves.
pub(crate) fn differences<T: Serialize>(from: &T, to: &T) -> Vec<Difference> {
    let value = |spec: &T| serde_json::to_value(spec).expect("a spec is plain values");
    let (mut from, mut to) = (value(from), value(to));
    for spec in [&mut from, &mut to] {
        if let Value::Object(fields) = spec {
            OWN_ACCOUNT.iter().for_each(|field| {
                fields.remove(*field);
            });
        }
    }
    let mut found = Vec::new();
    compare("", &from, &to, &mut found);
    found
}

fn compare(field: &str, from: &Value, to: &Value, found: &mut Vec<Difference>) {
    if let (Value::Object(one), Value::Object(other)) = (from, to) {
        let mut names: Vec<&String> = one.keys().chain(other.keys()).collect();
        names.sort();
        names.dedup();
        for name in names {
            let path = match field {
                "" => name.clone(),
                field => format!("{field}.{name}"),
            };
            let side = |side: &'_ serde_json::Map<String, Value>| {
                side.get(name).cloned().unwrap_or(Value::Null)
            };
            compare(&path, &side(one), &side(other), found);
        }
    } else if from != to {
        found.push(Difference {
            field: field.to_owned(),
            from: from.clone(),
            to: to.clone(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_named_by_their_field() {
        let spec = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        let from = spec(r#"{"digest":"a","config":{"x":"1","z":"0"},"version":1,"on":[1]}"#);
        let to = spec(r#"{"digest":"a","config":{"x":"2","y":"3","z":"0"},"version":2,"on":[1]}"#);
        let found = differences(&from, &to);
        let told: Vec<_> = found
            .iter()
            .map(|found| format!("{}: {} -> {}", found.field, found.from, found.to))
            .collect();
        assert_eq!(
            told,
            [r#"config.x: "1" -> "2""#, r#"config.y: null -> "3""#]
        );
        assert!(differences(&to, &to).is_empty());
    }
}
