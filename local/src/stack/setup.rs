//! What a stack's store holds before anybody uses it: streams and, where they are
//! wanted, the two example functions with their namespaces. What cannot be had at once is
//! tried again, while the rest of the stack runs.

use std::path::{Path, PathBuf};

use bus::Bus;
use bus::bootstrap::{BootstrapError, StoreSettings, bootstrap};
use bytes::Bytes;
use control::{Deployer, FunctionDraft, NamespaceDraft};
use protocol::name::{ChannelPattern, FunctionName, Namespace};
use tokio::sync::{mpsc, watch};

use super::backoff::Backoff;
use super::error::StackError;
use super::options::{StackOptions, store};
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

/// What is told once everything is there after all.
const COMPLETE: &str = "the store is set up, with everything in it";

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

/// What is not there yet. Owns the list of it; how many functions are deployed is seen
/// by whoever asked for the other end.
pub(super) struct Setup {
    bus: Bus,
    /// Where compiled code is kept.
    compiled: PathBuf,
    store: Option<StoreSettings>,
    namespaces: Vec<NamespaceDraft>,
    functions: Vec<(FunctionDraft, Bytes)>,
    deployed: watch::Sender<usize>,
}

impl Setup {
    /// A store as it is wanted and, where there are modules, the examples.
    pub fn new(
        bus: &Bus,
        options: &StackOptions,
        modules: Option<Modules>,
    ) -> (Self, watch::Receiver<usize>) {
        let settings = StoreSettings {
            name: store(),
            lanes: options.lanes,
            max_bytes: STREAM_BYTES_MAX,
            ..StoreSettings::default()
        };
        let (deployed, seen) = watch::channel(0);
        let (namespaces, functions) = modules.map_or_else(Default::default, examples);
        let setup = Self {
            bus: bus.clone(),
            compiled: programs::compiled(&options.devstack.cache),
            store: Some(settings),
            namespaces,
            functions,
            deployed,
        };
        (setup, seen)
    }

    /// Creates what is not there yet; says what cannot be had and why. What is refused
    /// does not keep the rest from being made. Cancel safe: the next attempt goes on.
    pub async fn attempt(&mut self) -> Vec<String> {
        if let Some(settings) = &self.store {
            if let Err(error) = bootstrap(&self.bus, settings).await {
                return vec![format!(
                    "the store is not set up: {}",
                    store_trouble(&error)
                )];
            }
            self.store = None;
        }
        let deployer = Deployer::new(&self.bus, WHO).compiled(self.compiled.clone());
        let mut troubles = self.make_namespaces(&deployer).await;
        troubles.extend(self.deploy(&deployer).await);
        troubles
    }

    async fn make_namespaces(&mut self, deployer: &Deployer) -> Vec<String> {
        let mut troubles = Vec::new();
        while let Some(draft) = self.namespaces.get(troubles.len()) {
            match deployer.apply_namespace(draft.clone()).await {
                Ok(_) => drop(self.namespaces.remove(troubles.len())),
                Err(error) => {
                    let (name, reason) = (&draft.name, sentence(&error));
                    troubles.push(format!("the namespace {name} is not made: {reason}"));
                }
            }
        }
        troubles
    }

    async fn deploy(&mut self, deployer: &Deployer) -> Vec<String> {
        let mut troubles = Vec::new();
        while let Some((draft, module)) = self.functions.get(troubles.len()) {
            match deployer.deploy(draft.clone(), vec![module.clone()]).await {
                Ok(_) => {
                    self.functions.remove(troubles.len());
                    self.deployed.send_modify(|deployed| *deployed += 1);
                }
                Err(error) => {
                    let (name, reason) = (&draft.name, sentence(&error));
                    troubles.push(format!("the function {name} is not deployed: {reason}"));
                }
            }
        }
        troubles
    }

    /// Tries again until everything is there. What is wrong is told when it changes, and
    /// that it is over. Cancel safe.
    pub async fn complete(mut self, mut troubles: Vec<String>, notes: mpsc::Sender<String>) {
        let mut backoff = Backoff::default();
        while !troubles.is_empty() {
            tokio::time::sleep(backoff.next()).await;
            let now = self.attempt().await;
            // An error of `send` means that nobody listens any more.
            for trouble in now.iter().filter(|trouble| !troubles.contains(trouble)) {
                let _ = notes.send(trouble.clone()).await;
            }
            if now.is_empty() {
                let _ = notes.send(COMPLETE.to_owned()).await;
            }
            troubles = now;
        }
    }
}

/// What is wrong with the store, and what helps where it is known.
fn store_trouble(error: &BootstrapError) -> String {
    let reason = sentence(error);
    match error {
        BootstrapError::Differs(_) => format!("{reason}; another data folder starts afresh"),
        _ => reason,
    }
}

/// Namespaces and functions to try things out with.
fn examples(modules: Modules) -> (Vec<NamespaceDraft>, Vec<(FunctionDraft, Bytes)>) {
    let namespaces = [("doc", Some(GATE)), ("chat", None), ("stats", None)];
    let namespaces = namespaces
        .map(|(name, gate)| NamespaceDraft::new(namespace(name), store(), gate.map(function)));
    let gate = FunctionDraft::new(function(GATE), store(), Vec::new());
    let stats = FunctionDraft {
        emits: vec![pattern("stats.>")],
        linger_ms: STATS_LINGER_MS,
        ..FunctionDraft::new(function(STATS), store(), vec![pattern("doc.>")])
    };
    let functions = vec![(gate, modules.gate), (stats, modules.stats)];
    (namespaces.into(), functions)
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
