//! What a stack's store holds before anybody uses it: streams, namespaces, and
//! the two example functions. Running it again changes nothing.

use std::collections::BTreeMap;
use std::path::Path;

use bus::bootstrap::{StoreSettings, bootstrap};
use bus::{Bus, BusError};
use bytes::Bytes;
use control::{FunctionDraft, Start, deploy};
use protocol::name::{ChannelPattern, FunctionName, Namespace};
use protocol::spec::{FunctionLimits, NamespaceSpec, Path as EventPath, Trigger, key};
use protocol::stream::Bucket;

use super::error::StackError;
use super::options::store;
use crate::programs;
use crate::sentence::sentence;

/// The gate of documents.
const GATE: &str = "document-gate";
/// The reactive function that derives statistics from them.
const STATS: &str = "document-stats";
/// How long statistics gather before they are stored: nobody types by them, and a
/// commit for each edit would cost the server as much as the edits do.
const STATS_LINGER_MS: u64 = 50;

/// Most bytes of each stream of a stack on one machine, so that a forgotten one
/// does not fill its disk.
const STREAM_BYTES_MAX: u64 = 1 << 30;

/// The modules of the functions.
pub(super) struct Modules {
    gate: Bytes,
    stats: Bytes,
}

/// Reads the modules, from `folder` or from where they are built to.
pub(super) fn modules(folder: Option<&Path>) -> Result<Modules, StackError> {
    let folder = folder.map_or_else(programs::modules_folder, Path::to_path_buf);
    let read = |name: &str| {
        let path = folder.join(programs::module_file(name));
        let bytes = std::fs::read(&path);
        bytes
            .map(Bytes::from)
            .map_err(|source| StackError::Function { path, source })
    };
    Ok(Modules {
        gate: read(GATE)?,
        stats: read(STATS)?,
    })
}

/// Creates what is not there yet. Says how many functions are deployed, and which are
/// not and why: one that is refused does not keep the rest from serving.
pub(super) async fn setup(
    bus: &Bus,
    lanes: u16,
    modules: Modules,
) -> Result<(usize, Vec<String>), StackError> {
    let settings = StoreSettings {
        name: store(),
        lanes,
        max_bytes: STREAM_BYTES_MAX,
        ..StoreSettings::default()
    };
    bootstrap(bus, &settings).await?;
    let gate = EventPath::Function(function(GATE));
    put_namespace(bus, "doc", gate).await?;
    put_namespace(bus, "chat", EventPath::Direct).await?;
    put_namespace(bus, "stats", EventPath::Direct).await?;
    let gate = draft(GATE, Trigger::Gate);
    let stats = FunctionDraft {
        emits: vec![pattern("stats.>")],
        linger_ms: STATS_LINGER_MS,
        ..draft(STATS, Trigger::Reactive(vec![pattern("doc.>")]))
    };
    let (mut deployed, mut troubles) = (0, Vec::new());
    for (draft, module) in [(gate, modules.gate), (stats, modules.stats)] {
        let name = draft.name.clone();
        match deploy(bus, draft, module).await {
            Ok(_) => deployed += 1,
            Err(error) => {
                let reason = sentence(&error);
                troubles.push(format!("the function {name} is not deployed: {reason}"));
            }
        }
    }
    Ok((deployed, troubles))
}

async fn put_namespace(bus: &Bus, name: &str, path: EventPath) -> Result<(), BusError> {
    let spec = NamespaceSpec {
        name: namespace(name),
        store: store(),
        path,
        written: None,
    };
    let json = Bytes::from(serde_json::to_vec(&spec).expect("a spec of plain names is JSON"));
    let config = bus.kv(Bucket::Config).await?;
    let key = key::namespace(&spec.name);
    let found = config.get(&key).await?;
    if found.is_none_or(|(value, _)| value != json) {
        config.put(&key, json).await?;
    }
    Ok(())
}

/// A function that handles everything from the first event on, as soon as it comes.
fn draft(name: &str, trigger: Trigger) -> FunctionDraft {
    FunctionDraft {
        name: function(name),
        store: store(),
        trigger,
        emits: Vec::new(),
        config: BTreeMap::new(),
        limits: FunctionLimits::default(),
        linger_ms: 0,
        start: Start::Earliest,
    }
}

fn namespace(text: &str) -> Namespace {
    Namespace::parse(text).expect("a valid name")
}

fn function(text: &str) -> FunctionName {
    FunctionName::parse(text).expect("a valid name")
}

fn pattern(text: &str) -> ChannelPattern {
    ChannelPattern::parse(text).expect("a valid pattern")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_that_is_not_built_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = modules(Some(folder.path())).err().unwrap();
        assert!(error.to_string().contains("document_gate.wasm"), "{error}");
    }
}
