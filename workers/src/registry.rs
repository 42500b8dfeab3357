//! Follows `FUNCTIONS`: reads specs, fetches modules, compiles them off the lanes.
//!
//! Owns what is told of each function, the loads that are under way, one per function and
//! that of its newest spec, and the watch: one that ends is begun anew, and what was deleted meanwhile is gone then.
//! A module that is slow, or not there yet, delays no other function's, and
//! one on trial not that of the version beside it. It must not know
//! lanes: what it hands on is a program, or that a function is gone or broken.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bus::{BusError, Kv, KvChange, KvWatch};
use futures_util::StreamExt;
use protocol::checkpoint::Digest;
use protocol::name::FunctionName;
use protocol::spec::{FunctionSpec, Judgement, key};
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinSet};

use crate::deployed::Deployed;
use crate::lane::shared::Shared;
use crate::trial::Trial;
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
    /// What is told of each function of which anything is.
    told: BTreeMap<FunctionName, Told>,
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

/// What the bucket says of a function, with revisions.
#[derive(Debug, Default)]
struct Told {
    spec: Option<(FunctionSpec, u64)>,
    /// How its last trial ended.
    judged: Option<(Judgement, u64)>,
}

/// What is loaded.
#[derive(Debug, Clone)]
struct Wanted {
    spec: Arc<FunctionSpec>,
    revision: u64,
    /// What runs already, where only the version on trial is wanted.
    running: Option<Arc<Program>>,
}

struct Loaded {
    wanted: Wanted,
    outcome: Result<Arc<Program>, Failure>,
    /// The version on trial, where it was compiled before.
    tried: Option<Arc<Program>>,
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
            told: BTreeMap::new(),
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
        if let Some(told) = self.told.get_mut(&name) {
            told.spec = None;
        }
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
        if let Some(name) = key::parse_judged(&change.key) {
            return self.take_judgement(name, &change);
        }
        let name = FunctionName::parse(&change.key).ok();
        self.account(name.as_ref(), &change);
        let name = name?;
        let Some(value) = change.value else {
            return Some(self.forget(name));
        };
        match read(&value) {
            Ok(spec) if spec.store != self.shared.store.name || spec.name != name => {
                Some(self.forget(name))
            }
            Ok(spec) => {
                let told = self.told.entry(name.clone()).or_default();
                told.spec = Some((spec, change.revision));
                self.settle(name)
            }
            Err(problem) => {
                tracing::error!(function = %name, problem, "the spec is not accepted; what runs goes on");
                broken(&name, true);
                Some(Change::Broken(name, problem))
            }
        }
    }

    fn take_judgement(&mut self, name: FunctionName, change: &KvChange) -> Option<Change> {
        let value = change.value.as_deref()?;
        let judgement: Judgement = match serde_json::from_slice(value) {
            Ok(judgement) => judgement,
            Err(error) => {
                tracing::error!(function = %name, %error, "how a trial ended is not readable");
                return None;
            }
        };
        let told = self.told.entry(name.clone()).or_default();
        told.judged = Some((judgement, change.revision));
        let (spec, _) = told.spec.as_ref()?;
        let ends = told
            .judged
            .as_ref()
            .and_then(|(judged, _)| spec.judged(judged));
        ends.and_then(|_| self.settle(name))
    }

    /// Runs a function as it is after its last judgement; what is paused is given back, and
    /// its inputs wait.
    fn settle(&mut self, name: FunctionName) -> Option<Change> {
        let told = self.told.get(&name)?;
        let (spec, revision) = told.spec.as_ref()?;
        let judged = told.judged.as_ref();
        let judged = judged.and_then(|(judged, at)| Some((spec.judged(judged)?, *at)));
        let (spec, revision) = match judged {
            Some((spec, at)) => (spec, at.max(*revision)),
            None => (spec.clone(), *revision),
        };
        if spec.paused.is_some() {
            self.stop_loading(&name);
            broken(&name, false);
            return Some(Change::Gone(name));
        }
        self.load(Wanted {
            spec: Arc::new(spec),
            revision,
            running: None,
        });
        None
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
    fn load(&mut self, wanted: Wanted) {
        self.load_after(Duration::ZERO, wanted);
    }

    fn load_after(&mut self, pause: Duration, wanted: Wanted) {
        let (shared, turns) = (self.shared.clone(), self.turns.clone());
        let (name, revision) = (wanted.spec.name.clone(), wanted.revision);
        let load = self.loads.spawn(async move {
            tokio::time::sleep(pause).await;
            let _turn = turns.acquire().await;
            let tried = wanted.tried();
            let outcome = match (&wanted.running, &tried) {
                (Some(_), Some(tried)) => compile(&shared, tried).await,
                _ => compile(&shared, &wanted.spec).await,
            };
            Loaded {
                tried: tried.and_then(|spec| cached(&shared, &spec)),
                wanted,
                outcome,
            }
        });
        self.stop_loading(&name);
        self.loading.insert(name, (revision, load));
    }

    fn loaded(&mut self, loaded: Loaded) -> Option<Change> {
        let Loaded {
            wanted,
            outcome,
            tried,
        } = loaded;
        let (name, revision) = (wanted.spec.name.clone(), wanted.revision);
        if self.loading.get(&name).map(|(wanted, _)| *wanted) != Some(revision) {
            return None;
        }
        self.loading.remove(&name);
        if let Some(running) = wanted.running.clone() {
            return self.loaded_beside(running, wanted, outcome);
        }
        Some(match outcome {
            Ok(program) => {
                broken(&name, false);
                tracing::info!(function = %name, digest = %wanted.spec.digest, "function is compiled");
                if wanted.spec.canary.is_some() && tried.is_none() {
                    self.load(Wanted {
                        running: Some(program.clone()),
                        ..wanted
                    });
                }
                Change::Program(Deployed {
                    program,
                    revision,
                    trial: tried.map(|tried| Arc::new(Trial::of(tried))),
                })
            }
            Err(Failure::Fetch(error)) => {
                tracing::warn!(function = %name, %error, "the module cannot be fetched yet");
                self.load_after(FETCH_RETRY, wanted);
                Change::Broken(name, format!("the module cannot be fetched yet: {error}"))
            }
            Err(Failure::Permanent(problem)) => {
                tracing::error!(function = %name, problem, "the module is not usable; what runs goes on");
                broken(&name, true);
                Change::Broken(name, problem)
            }
        })
    }

    /// The version on trial is compiled, or cannot be.
    fn loaded_beside(
        &mut self,
        running: Arc<Program>,
        wanted: Wanted,
        outcome: Result<Arc<Program>, Failure>,
    ) -> Option<Change> {
        let (name, version) = (&wanted.spec.name, wanted.tried()?.version);
        let trial = match outcome {
            Ok(tried) => {
                tracing::info!(function = %name, version, "the version on trial is compiled");
                Trial::of(tried)
            }
            Err(Failure::Fetch(error)) => {
                tracing::warn!(function = %name, version, %error, "the module on trial cannot be fetched yet");
                self.load_after(FETCH_RETRY, wanted);
                return None;
            }
            Err(Failure::Permanent(problem)) => {
                tracing::error!(function = %name, version, problem, "the module on trial is not usable");
                Trial::broken(version, &format!("its module is not usable: {problem}"))
            }
        };
        Some(Change::Program(Deployed {
            program: running,
            revision: wanted.revision,
            trial: Some(Arc::new(trial)),
        }))
    }
}

impl Wanted {
    /// The version that is on trial.
    fn tried(&self) -> Option<Arc<FunctionSpec>> {
        let canary = self.spec.canary.as_ref()?;
        Some(Arc::new(FunctionSpec::clone(&canary.candidate)))
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

/// A function of which every module is compiled already.
fn cached(shared: &Arc<Shared>, spec: &Arc<FunctionSpec>) -> Option<Arc<Program>> {
    let modules = spec.digests().map(|digest| shared.host.cached(digest));
    let modules = modules.collect::<Option<Vec<_>>>()?;
    Some(Program::new(spec.clone(), modules))
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
