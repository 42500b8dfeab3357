//! Follows `FUNCTIONS`: reads specs, fetches modules, compiles them off the lanes.
//!
//! Owns the functions whose module could not be fetched yet. It must not know lanes:
//! what it hands on is a program, or that a function is gone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bus::{BusError, KvChange, KvWatch};
use futures_util::StreamExt;
use protocol::name::FunctionName;
use protocol::spec::FunctionSpec;

use crate::lane::run::Shared;
use host::module::Program;

/// How often a module that could not be fetched is asked for again.
const FETCH_RETRY: Duration = Duration::from_secs(2);

/// What happened to a function.
#[derive(Debug)]
pub enum Change {
    /// It is to run like this from now on.
    Program(Arc<Program>),
    /// It is not to run here any more.
    Gone(FunctionName),
}

/// The functions as `FUNCTIONS` tells them.
pub struct Registry {
    shared: Arc<Shared>,
    watch: KvWatch,
    unfetched: BTreeMap<FunctionName, Arc<FunctionSpec>>,
}

enum Failure {
    /// The module cannot be fetched now.
    Fetch(BusError),
    /// The module is not usable; only another spec helps.
    Permanent(String),
}

impl Registry {
    /// Follows the functions of the shared store.
    pub fn new(shared: Arc<Shared>, watch: KvWatch) -> Self {
        Self {
            shared,
            watch,
            unfetched: BTreeMap::new(),
        }
    }

    /// Waits for the next change; `None` when the bucket is gone. Not cancel safe:
    /// cancelled while it compiles, it forgets the change.
    pub async fn next(&mut self) -> Option<Change> {
        loop {
            // Both branches are cancel safe: a watch keeps its place, a sleep only waits.
            let spec = tokio::select! {
                change = self.watch.next() => match self.read(change?) {
                    Ok(spec) => spec,
                    Err(Some(gone)) => return Some(Change::Gone(gone)),
                    Err(None) => continue,
                },
                () = tokio::time::sleep(FETCH_RETRY), if !self.unfetched.is_empty() => {
                    let (_, spec) = self.unfetched.pop_first().expect("the branch is off when it is empty");
                    spec
                }
            };
            if let Some(program) = self.load(spec).await {
                return Some(Change::Program(program));
            }
        }
    }

    /// The spec of a change; otherwise the function that is gone, if it was one.
    fn read(&mut self, change: KvChange) -> Result<Arc<FunctionSpec>, Option<FunctionName>> {
        let name = FunctionName::parse(&change.key).map_err(|_| None)?;
        self.unfetched.remove(&name);
        let Some(value) = change.value else {
            return Err(Some(name));
        };
        let spec: FunctionSpec = serde_json::from_slice(&value).map_err(|error| {
            tracing::error!(function = %name, %error, "the spec is not readable; what runs goes on");
            broken(&name, true);
            None
        })?;
        if let Err(error) = spec.check() {
            tracing::error!(function = %name, %error, "the spec is not accepted; what runs goes on");
            broken(&name, true);
            return Err(None);
        }
        if spec.store != self.shared.store.name || spec.name != name {
            return Err(Some(name));
        }
        Ok(Arc::new(spec))
    }

    async fn load(&mut self, spec: Arc<FunctionSpec>) -> Option<Arc<Program>> {
        match compile(&self.shared, &spec).await {
            Ok(program) => {
                broken(&spec.name, false);
                tracing::info!(function = %spec.name, digest = %spec.digest, "function is compiled");
                Some(program)
            }
            Err(Failure::Fetch(error)) => {
                tracing::warn!(function = %spec.name, %error, "the module cannot be fetched yet");
                self.unfetched.insert(spec.name.clone(), spec);
                None
            }
            Err(Failure::Permanent(problem)) => {
                tracing::error!(function = %spec.name, problem, "the module is not usable; what runs goes on");
                broken(&spec.name, true);
                None
            }
        }
    }
}

async fn compile(shared: &Arc<Shared>, spec: &Arc<FunctionSpec>) -> Result<Arc<Program>, Failure> {
    if let Some(module) = shared.host.cached(&spec.digest) {
        return Ok(Program::new(spec.clone(), module));
    }
    let wasm = shared
        .bus
        .get_module(&spec.digest)
        .await
        .map_err(|error| match error {
            BusError::Digest => Failure::Permanent(error.to_string()),
            error => Failure::Fetch(error),
        })?;
    let (shared, digest) = (shared.clone(), spec.digest.clone());
    let compiled = tokio::task::spawn_blocking(move || shared.host.compile(&digest, &wasm)).await;
    match compiled {
        Ok(Ok(module)) => Ok(Program::new(spec.clone(), module)),
        Ok(Err(error)) => Err(Failure::Permanent(error.to_string())),
        Err(panic) => Err(Failure::Permanent(panic.to_string())),
    }
}

fn broken(name: &FunctionName, is: bool) {
    metrics::gauge!("function_broken", "function" => name.to_string()).set(if is {
        1.0
    } else {
        0.0
    });
}
