//! Follows `FUNCTIONS`: reads specs, fetches modules, compiles them off the lanes.
//!
//! Owns the functions whose module could not be fetched yet, and the watch: one that
//! ends is begun anew, and what was deleted meanwhile is gone then. It must not know
//! lanes: what it hands on is a program, or that a function is gone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bus::{BusError, Kv, KvChange, KvWatch};
use futures_util::StreamExt;
use protocol::name::FunctionName;
use protocol::spec::FunctionSpec;

use crate::lane::shared::Shared;
use host::module::Program;
use service::backoff::Backoff;

/// How often a module that could not be fetched is asked for again.
const FETCH_RETRY: Duration = Duration::from_secs(2);

/// The first wait before the functions are watched again.
const WATCH_WAIT_FIRST: Duration = Duration::from_millis(200);
/// The longest such wait.
const WATCH_WAIT_LONGEST: Duration = Duration::from_secs(5);

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
    functions: Kv,
    watch: KvWatch,
    /// Functions whose specs are there.
    known: BTreeSet<FunctionName>,
    /// Of a watch that has begun: those that have been seen, until all have.
    seen: Option<BTreeSet<FunctionName>>,
    /// Those that were deleted while nobody watched; to be told.
    gone: Vec<FunctionName>,
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
    ///
    /// # Errors
    /// Those of the bus.
    pub async fn new(shared: Arc<Shared>, functions: Kv) -> Result<Self, BusError> {
        Ok(Self {
            shared,
            watch: functions.watch_all().await?,
            functions,
            known: BTreeSet::new(),
            seen: None,
            gone: Vec::new(),
            unfetched: BTreeMap::new(),
        })
    }

    /// Waits for the next change. Not cancel safe: cancelled while it compiles, it
    /// forgets the change.
    pub async fn next(&mut self) -> Change {
        loop {
            if let Some(gone) = self.vanished() {
                return Change::Gone(gone);
            }
            // Both branches are cancel safe: a watch keeps its place, a sleep only waits.
            let spec = tokio::select! {
                change = self.watch.next() => match change {
                    Some(change) => match self.read(change) {
                        Ok(spec) => spec,
                        Err(Some(gone)) => return Change::Gone(gone),
                        Err(None) => continue,
                    },
                    None => {
                        self.watch_again().await;
                        continue;
                    }
                },
                () = tokio::time::sleep(FETCH_RETRY), if !self.unfetched.is_empty() => {
                    let (_, spec) = self.unfetched.pop_first().expect("the branch is off when it is empty");
                    spec
                }
            };
            if let Some(program) = self.load(spec).await {
                return Change::Program(program);
            }
        }
    }

    /// The bucket's stream was cut off, deleted or made anew: what runs goes on.
    async fn watch_again(&mut self) {
        tracing::warn!("the functions cannot be followed; what runs goes on");
        metrics::counter!("functions_watch_ended_total").increment(1);
        let mut backoff = Backoff::new(WATCH_WAIT_FIRST, WATCH_WAIT_LONGEST);
        loop {
            backoff.wait().await;
            match self.functions.watch_all().await {
                Ok(watch) => {
                    self.watch = watch;
                    self.seen = Some(BTreeSet::new());
                    return;
                }
                Err(error) => tracing::debug!(%error, "the functions cannot be followed yet"),
            }
        }
    }

    /// A function that was there before the watch began anew, and is not any more.
    fn vanished(&mut self) -> Option<FunctionName> {
        if self.seen.is_some() {
            return None;
        }
        self.gone.pop()
    }

    /// The spec of a change; otherwise the function that is gone, if it was one.
    fn read(&mut self, change: KvChange) -> Result<Arc<FunctionSpec>, Option<FunctionName>> {
        let name = FunctionName::parse(&change.key).ok();
        self.account(name.as_ref(), &change);
        let name = name.ok_or(None)?;
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
        // What is paused is given back, and its inputs wait.
        let idle = spec.paused.is_some();
        if spec.store != self.shared.store.name || spec.name != name || idle {
            return Err(Some(name));
        }
        Ok(Arc::new(spec))
    }

    /// Keeps account of what is there; at the end of a new watch's first part, what has
    /// not been seen in it is gone.
    fn account(&mut self, name: Option<&FunctionName>, change: &KvChange) {
        if let Some(name) = name {
            match change.value {
                Some(_) => self.known.insert(name.clone()),
                None => self.known.remove(name),
            };
            if let (Some(seen), Some(_)) = (&mut self.seen, &change.value) {
                seen.insert(name.clone());
            }
        }
        if change.initial_done
            && let Some(seen) = self.seen.take()
        {
            self.gone = self.known.difference(&seen).cloned().collect();
            self.known = seen;
        }
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
