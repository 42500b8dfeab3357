//! What a function's attributes say, and what a deployed function says of them.
//!
//! Owns nothing.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use control::app::{FunctionEntry, StageEntry, StartEntry};
use control::{FunctionDraft, Landscape, digest};
use protocol::filter::HeaderFilter;
use protocol::name::{ChannelPattern, FunctionName, StoreName};
use protocol::spec::{FunctionLimits, FunctionSpec, Schedule, Trigger};

use super::canary;
use super::module::read_module;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::fields::{Fields, value_of};
use crate::value::{Object, Value};

/// A function as its configuration has it.
pub struct Written {
    /// Its name.
    pub name: FunctionName,
    /// The rest of it.
    pub entry: FunctionEntry,
}

impl Written {
    /// As its deployer wants it.
    pub fn draft(&self) -> FunctionDraft {
        FunctionDraft::of_entry(self.name.clone(), &self.entry)
    }

    /// The modules of its stages, read.
    ///
    /// # Errors
    /// One cannot be read, or is too large.
    pub fn modules(&self) -> Result<Vec<Bytes>, Diagnostic> {
        let own = self.entry.module.as_deref().unwrap_or(Path::new(""));
        let own =
            read_module(own).map_err(|problem| Diagnostic::error(problem, "").at("module"))?;
        let further = self.entry.then.iter().map(|stage| {
            let read = read_module(&stage.module);
            read.map_err(|problem| {
                let summary = format!("then: the stage {}: {problem}", stage.name);
                Diagnostic::error(summary, "").at("then")
            })
        });
        std::iter::once(Ok(own)).chain(further).collect()
    }
}

/// The digests of modules: that of the first, and those of the stages behind it.
pub fn digests(modules: &[Bytes]) -> [(&'static str, Value); 2] {
    let mut all = modules.iter().map(|wasm| value_of(&digest(wasm)));
    let first = all.next().unwrap_or(Value::Null);
    [
        ("digest", first),
        ("stage_digests", Value::List(all.collect())),
    ]
}

/// What is wanted, as far as it is known.
///
/// # Errors
/// What is not accepted of it.
pub fn written(value: &Value) -> Result<Option<Written>, Diagnostics> {
    let mut fields = Fields::of(value);
    let name = fields.read::<FunctionName>("name");
    let module = fields.read::<PathBuf>("module");
    let store = fields.read::<StoreName>("store");
    let on = fields.read::<Vec<ChannelPattern>>("on");
    let schedule = fields.read::<Option<Schedule>>("schedule");
    let headers = fields.read::<HeaderFilter>("headers");
    let emits = fields.read::<Vec<ChannelPattern>>("emits");
    let config = fields.read("config");
    fields.refuse_nulls("config");
    fields.refuse_nulls("headers");
    let then = fields.read::<Vec<StageEntry>>("then");
    let limits = fields.read::<FunctionLimits>("limits");
    let linger_ms = fields.read::<u64>("linger_ms");
    let loops = fields.read::<bool>("loops");
    let start = fields.read::<StartEntry>("start");
    let made = || {
        Some(FunctionEntry {
            lang: None,
            folder: None,
            module: Some(module?),
            store: store?,
            on: on?,
            schedule: schedule?,
            headers: headers?,
            emits: emits?,
            config: config?,
            then: then?,
            limits: limits?,
            linger_ms: linger_ms?,
            loops: loops?,
            start: start?,
        })
    };
    let made = made();
    if let Some(problem) = made.as_ref().and_then(FunctionEntry::contradiction) {
        fields.refuse(Diagnostic::error(problem, "").at("schedule"));
    }
    let made = made.zip(name).map(|(entry, name)| Written { name, entry });
    fields.end(made)
}

/// What is deployed. What a deployment does not keep is as it was.
pub fn state(land: &Landscape, spec: &FunctionSpec, revision: u64, prior: &Value) -> Object {
    let on = match &spec.trigger {
        Trigger::Reactive(on) => value_of(on),
        Trigger::Gate | Trigger::Schedule(_) => Value::List(Vec::new()),
    };
    let was = |name: &str, usual: Value| match prior.get(name) {
        Value::Null => usual,
        said => said.clone(),
    };
    let optional = |value: Option<Value>| value.unwrap_or(Value::Null);
    let deployed = spec.deployed.as_ref();
    let further = spec.then.iter().map(|stage| value_of(&stage.digest));
    let all = [
        ("name", value_of(&spec.name)),
        ("module", prior.get("module").clone()),
        ("store", value_of(&spec.store)),
        ("on", on),
        ("schedule", optional(spec.schedule().map(value_of))),
        ("headers", value_of(&spec.headers)),
        ("emits", value_of(&spec.emits)),
        ("config", value_of(&spec.config)),
        ("then", stages(spec, prior)),
        ("limits", value_of(&spec.limits)),
        ("linger_ms", spec.linger_ms.into()),
        ("loops", spec.loops.into()),
        ("start", was("start", value_of(&StartEntry::default()))),
        ("digest", value_of(&spec.digest)),
        ("stage_digests", Value::List(further.collect())),
        ("version", spec.version.into()),
        ("revision", revision.into()),
        ("start_seq", spec.start_seq.into()),
        (
            "deployed_by",
            optional(deployed.map(|deployed| Value::text(&deployed.by))),
        ),
    ];
    let trial = canary::state(land, spec, prior);
    let all = all.into_iter().chain(trial);
    let mut all: Object = all.map(|(name, value)| (name.to_owned(), value)).collect();
    if canary::has_become(land, spec, prior) {
        // Nobody has changed anything: the function is what it was said to become. What was
        // its own is told until the configuration knows.
        for name in ["config", "digest", "stage_digests"] {
            all.insert(name.to_owned(), prior.get(name).clone());
        }
    }
    all
}

/// Its further stages; a deployment knows digests, and the state which file each was.
fn stages(spec: &FunctionSpec, prior: &Value) -> Value {
    let Value::List(before) = prior.get("then").clone() else {
        let all = spec.then.iter().map(|stage| stage_of(stage, &Value::Null));
        return Value::List(all.collect());
    };
    let file = |name: &str| {
        let found = before
            .iter()
            .find(|one| one.get("name").as_text() == Some(name));
        found.map_or(Value::Null, |one| one.get("module").clone())
    };
    let all = spec.then.iter();
    Value::List(
        all.map(|stage| stage_of(stage, &file(stage.name.as_str())))
            .collect(),
    )
}

fn stage_of(stage: &protocol::spec::Stage, file: &Value) -> Value {
    let all = [
        ("name", value_of(&stage.name)),
        ("module", file.clone()),
        ("config", value_of(&stage.config)),
    ];
    Value::Map(all.map(|(name, value)| (name.to_owned(), value)).into())
}

#[cfg(test)]
mod tests {
    use control::Pending;
    use protocol::checkpoint::Digest;

    use super::super::attributes::attributes;
    use super::*;
    use crate::schema::conform;

    fn deployed() -> FunctionSpec {
        let json = serde_json::json!({
            "name": "count", "digest": Digest::from_bytes([1; 32]), "store": "main",
            "trigger": {"reactive": ["chat.>"]}, "headers": {"room": ["blue"], "urgent": []},
            "emits": ["counts.>"], "config": {"window": "60"}, "linger_ms": 5, "loops": true,
            "limits": {"deadline_ms": 70, "isolation": "fresh-per-batch"}, "start_seq": 9,
            "then": [{"name": "mask", "digest": Digest::from_bytes([2; 32]), "config": {"by": "*"}}],
            "version": 3,
        });
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn what_is_deployed_is_what_was_written() {
        let spec = deployed();
        let prior = serde_json::json!({
            "module": "count.wasm", "then": [{"name": "mask", "module": "mask.wasm"}]
        });
        let prior = conform::object(&attributes(), crate::value::json::from_json(&prior));
        let land = Landscape::default().after(&Pending::default());
        let state = conform::object(&attributes(), Value::Map(state(&land, &spec, 7, &prior)));
        let draft = written(&state).unwrap().unwrap().draft();
        let wanted = FunctionDraft {
            headers: spec.headers.clone(),
            emits: spec.emits.clone(),
            config: spec.config.clone(),
            limits: spec.limits.clone(),
            linger_ms: spec.linger_ms,
            loops: true,
            then: draft.then.clone(),
            ..FunctionDraft::new(spec.name.clone(), spec.store.clone(), draft_on(&spec))
        };
        assert_eq!(draft, wanted);
        assert_eq!(draft.then[0].config, spec.then[0].config);
        assert_eq!(state.get("revision"), &Value::Int(7));
        assert_eq!(state.get("canary"), &Value::Null);
    }

    fn draft_on(spec: &FunctionSpec) -> Vec<ChannelPattern> {
        match &spec.trigger {
            Trigger::Reactive(on) => on.clone(),
            _ => Vec::new(),
        }
    }

    #[test]
    fn what_is_not_accepted_is_named() {
        let said = serde_json::json!({
            "name": "a b", "module": "m", "on": ["x..y"], "limits": {"attempts": "many"}
        });
        let config = conform::object(&attributes(), crate::value::json::from_json(&said));
        let schema = crate::schema::Schema {
            description: "",
            attributes: attributes(),
        };
        let planned = crate::schema::plan::propose(&schema, &Value::Null, &config).planned;
        let problems = written(&Value::Map(planned)).err().unwrap();
        let named: Vec<_> = problems
            .iter()
            .filter_map(|one| one.attribute.as_deref())
            .collect();
        assert_eq!(named, ["name", "on", "limits"]);
    }
}
