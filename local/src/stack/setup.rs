//! What a stack's store holds before anybody uses it: streams and, where they are
//! wanted, the two example functions with their namespaces. Running it again changes
//! nothing.

use std::path::Path;

use bus::Bus;
use bus::bootstrap::{StoreSettings, bootstrap};
use bytes::Bytes;
use control::{Deployer, FunctionDraft, NamespaceDraft};
use protocol::name::{ChannelPattern, FunctionName, Namespace};

use super::error::StackError;
use super::options::store;
use crate::programs;
use crate::sentence::sentence;

/// Who sets a stack up, as it is written beside what is deployed.
const WHO: &str = "eddyline dev";
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
    modules: Option<Modules>,
) -> Result<(usize, Vec<String>), StackError> {
    let settings = StoreSettings {
        name: store(),
        lanes,
        max_bytes: STREAM_BYTES_MAX,
        ..StoreSettings::default()
    };
    bootstrap(bus, &settings).await?;
    let Some(modules) = modules else {
        return Ok((0, Vec::new()));
    };
    let deployer = Deployer::new(bus, WHO);
    for (name, gate) in [("doc", Some(GATE)), ("chat", None), ("stats", None)] {
        let draft = NamespaceDraft {
            name: namespace(name),
            store: store(),
            gate: gate.map(function),
        };
        deployer.apply_namespace(draft).await?;
    }
    let gate = FunctionDraft::new(function(GATE), store(), Vec::new());
    let stats = FunctionDraft {
        emits: vec![pattern("stats.>")],
        linger_ms: STATS_LINGER_MS,
        ..FunctionDraft::new(function(STATS), store(), vec![pattern("doc.>")])
    };
    let (mut deployed, mut troubles) = (0, Vec::new());
    for (draft, module) in [(gate, modules.gate), (stats, modules.stats)] {
        let name = draft.name.clone();
        match deployer.deploy(draft, module).await {
            Ok(_) => deployed += 1,
            Err(error) => {
                let reason = sentence(&error);
                troubles.push(format!("the function {name} is not deployed: {reason}"));
            }
        }
    }
    Ok((deployed, troubles))
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
