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
    all.map(|(name, value)| (name.to_owned(), value)).collect()
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
