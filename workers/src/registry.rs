//! Follows `FUNCTIONS`: reads specs, fetches modules, compiles them off the lanes.
//!
//! Owns the loads that are under way, one per function and that of its newest spec, and
//! the watch: one that ends is begun anew, and what was deleted meanwhile is gone then.
//! A module that is slow, or not there yet, delays no other function's. It must not know
//! lanes: what it hands on is a program, or that a function is gone or broken.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bus::{BusError, Kv, KvChange, KvWatch};
use futures_util::StreamExt;
use protocol::checkpoint::Digest;
use protocol::name::FunctionName;
use protocol::spec::FunctionSpec;
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinSet};

use crate::deployed::Deployed;
use crate::lane::shared::Shared;
use host::module::{Module, Program};
use service::backoff::Backoff;

/// How often a module that could not be fetched is asked for again.
const FETCH_RETRY: Duration = Duration::from_secs(2);
/// Modules that are fetched and compiled at a time: a compiler takes a core and some
/// hundred MiB for an interpreter's module. Policy: the others wait their turn.
const LOADS_MAX: usize = 2;

/// The first wait before the functions are watched again.
const WATCH_WAIT_FIRST: Duration = Duration::from_millis(200);
/// The longest such wait.
const WATCH_WAIT_LONGEST: Duration = Duration::from_secs(5);

/// What happened to a function.
#[derive(Debug, Clone)]
pub enum Change {
    /// It is to run like this from now on.
    Program(Deployed),
    /// It is not to run here any more.
    Gone(FunctionName),
    /// What is deployed cannot run here, or not yet; what runs goes on.
    Broken(FunctionName, String),
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
    loads: JoinSet<Loaded>,
    loading: BTreeMap<FunctionName, (u64, AbortHandle)>,
    turns: Arc<Semaphore>,
}

struct Loaded {
    spec: Arc<FunctionSpec>,
    revision: u64,
    outcome: Result<Arc<Program>, Failure>,
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
            loads: JoinSet::new(),
            loading: BTreeMap::new(),
            turns: Arc::new(Semaphore::new(LOADS_MAX)),
        })
    }

    /// Waits for the next change. Cancel safe, but for a watch that is being begun anew,
    /// which then is begun by the next call.
    pub async fn next(&mut self) -> Change {
        loop {
            if let Some(gone) = self.vanished() {
                return self.forget(gone);
            }
            // Both branches are cancel safe: a watch keeps its place, a load goes on.
            let told = tokio::select! {
                change = self.watch.next() => match change {
                    Some(change) => self.take(change),
                    None => {
                        self.watch_again().await;
                        None
                    }
                },
                Some(loaded) = self.loads.join_next(), if !self.loads.is_empty() => {
                    loaded.ok().and_then(|loaded| self.loaded(loaded))
                }
            };
            if let Some(change) = told {
                return change;
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

    fn forget(&mut self, name: FunctionName) -> Change {
        self.stop_loading(&name);
        broken(&name, false);
        Change::Gone(name)
    }

    fn stop_loading(&mut self, name: &FunctionName) {
        if let Some((_, load)) = self.loading.remove(name) {
            load.abort();
        }
    }

    /// Takes a change of the bucket in: a new spec is loaded, and told when it is.
    fn take(&mut self, change: KvChange) -> Option<Change> {
        let name = FunctionName::parse(&change.key).ok();
        self.account(name.as_ref(), &change);
        let name = name?;
        let Some(value) = change.value else {
            return Some(self.forget(name));
        };
        match read(&value) {
            // What is paused is given back, and its inputs wait.
            Ok(spec)
                if spec.store != self.shared.store.name
                    || spec.name != name
                    || spec.paused.is_some() =>
            {
                Some(self.forget(name))
            }
            Ok(spec) => {
                self.load(Arc::new(spec), change.revision);
                None
            }
            Err(problem) => {
                tracing::error!(function = %name, problem, "the spec is not accepted; what runs goes on");
                broken(&name, true);
                Some(Change::Broken(name, problem))
            }
        }
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

    /// Loads a spec's module beside everything else; an older spec's load is given up.
    fn load(&mut self, spec: Arc<FunctionSpec>, revision: u64) {
        self.load_after(Duration::ZERO, spec, revision);
    }

    fn load_after(&mut self, pause: Duration, spec: Arc<FunctionSpec>, revision: u64) {
        let (shared, turns, name) = (self.shared.clone(), self.turns.clone(), spec.name.clone());
        let load = self.loads.spawn(async move {
            tokio::time::sleep(pause).await;
            let _turn = turns.acquire().await;
            let outcome = compile(&shared, &spec).await;
            Loaded {
                spec,
                revision,
                outcome,
            }
        });
        self.stop_loading(&name);
        self.loading.insert(name, (revision, load));
    }

    fn loaded(&mut self, loaded: Loaded) -> Option<Change> {
        let Loaded {
            spec,
            revision,
            outcome,
        } = loaded;
        let name = spec.name.clone();
        if self.loading.get(&name).map(|(wanted, _)| *wanted) != Some(revision) {
            return None;
        }
        self.loading.remove(&name);
        Some(match outcome {
            Ok(program) => {
                broken(&name, false);
                tracing::info!(function = %name, digest = %spec.digest, "function is compiled");
                Change::Program(Deployed { program, revision })
            }
            Err(Failure::Fetch(error)) => {
                tracing::warn!(function = %name, %error, "the module cannot be fetched yet");
                self.load_after(FETCH_RETRY, spec, revision);
                Change::Broken(name, format!("the module cannot be fetched yet: {error}"))
            }
            Err(Failure::Permanent(problem)) => {
                tracing::error!(function = %name, problem, "the module is not usable; what runs goes on");
                broken(&name, true);
                Change::Broken(name, problem)
            }
        })
    }
}

fn read(value: &[u8]) -> Result<FunctionSpec, String> {
    let spec: FunctionSpec = serde_json::from_slice(value).map_err(|error| error.to_string())?;
    spec.check().map_err(|error| error.to_string())?;
    Ok(spec)
}

async fn compile(shared: &Arc<Shared>, spec: &Arc<FunctionSpec>) -> Result<Arc<Program>, Failure> {
    let mut modules = Vec::new();
    for digest in spec.digests() {
        modules.push(module(shared, digest).await?);
    }
    Ok(Program::new(spec.clone(), modules))
}

async fn module(shared: &Arc<Shared>, digest: &Digest) -> Result<Arc<Module>, Failure> {
    if let Some(module) = shared.host.cached(digest) {
        return Ok(module);
    }
    let wasm = shared
        .bus
        .get_module(digest)
        .await
        .map_err(|error| match error {
            BusError::Digest => Failure::Permanent(error.to_string()),
            error => Failure::Fetch(error),
        })?;
    let (shared, digest) = (shared.clone(), digest.clone());
    let compiled = tokio::task::spawn_blocking(move || shared.host.compile(&digest, &wasm)).await;
    match compiled {
        Ok(Ok(module)) => Ok(module),
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
