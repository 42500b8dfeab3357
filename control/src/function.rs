//! Functions: deployed, paused, taken back, removed.
//!
//! Owns nothing. What is deployed is one key of `FUNCTIONS`, changed by compare-and-set;
//! whatever is written before it harms nobody, and whatever is due after it is made up
//! for by the next who deploys.

use bus::Bus;
use bytes::Bytes;
use protocol::checkpoint::Digest;
use protocol::name::{FunctionName, StoreName};
use protocol::spec::{FunctionSpec, Stage, Trigger};
use protocol::stream::StreamName;
use protocol::subject::{Kind, Subject};

use crate::deployer::{Deployer, json};
use crate::draft::{FunctionDraft, Start, digest};
use crate::error::ControlError;
use crate::landscape::{Entry, Landscape};
use crate::rules;
use crate::trial;

/// A function that is deployed now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployed {
    /// Its spec, as it is stored.
    pub spec: FunctionSpec,
    /// The revision of its spec in `FUNCTIONS`.
    pub revision: u64,
    /// It was not deployed like this before.
    pub changed: bool,
    /// What is accepted but not as it should be.
    pub notes: Vec<String>,
}

impl Deployer {
    /// Checks and deploys a function, a module for each of its stages. What is deployed like this already stays as it is,
    /// and what is paused stays paused.
    ///
    /// # Errors
    /// [`ControlError`]; workers go on with what was deployed before. The module may be
    /// stored already, which harms nobody.
    pub async fn deploy(
        &self,
        draft: FunctionDraft,
        modules: Vec<Bytes>,
    ) -> Result<Deployed, ControlError> {
        let land = self.landscape().await?;
        let spec = self.function_spec(&land, draft, &modules).await?;
        let notes = self.judge(&spec, &modules, &land, &land).await?;
        self.put_function(&land, spec, modules, notes).await
    }

    /// The spec of what is wanted; that of what is deployed if it is the same.
    pub(crate) async fn function_spec(
        &self,
        land: &Landscape,
        draft: FunctionDraft,
        modules: &[Bytes],
    ) -> Result<FunctionSpec, ControlError> {
        land.readable(draft.name.as_str())?;
        let (digest, then) = stages(&draft, modules)?;
        let now = land.functions.get(&draft.name).map(|entry| &entry.spec);
        if let Some(now) = now
            && !draft.restart
            && is_same(now, &draft, &digest, &then)
        {
            return Ok(now.clone());
        }
        if let Some(now) = now {
            let tried = now.canary.as_ref().filter(|_| draft.canary.is_some());
            if tried.is_some_and(|tried| is_same(&tried.candidate, &draft, &digest, &then)) {
                return Ok(now.clone());
            }
            trial::none_on_trial(now)?;
        }
        let last = land.last(&draft.name);
        let start_seq = match last {
            Some(last) if !draft.restart => last.start_seq,
            _ if land.stores.contains_key(&draft.store) => self.resolve(&draft).await?,
            // Refused by the rules, with the stores that there are.
            _ => 1,
        };
        let anew = u64::from(draft.restart && last.is_some());
        let canary = draft.canary;
        let wanted = FunctionSpec {
            name: draft.name.clone(),
            digest,
            store: draft.store,
            trigger: draft.trigger,
            headers: draft.headers,
            emits: draft.emits,
            config: draft.config,
            then,
            limits: draft.limits,
            linger_ms: draft.linger_ms,
            start_seq,
            version: land.next_version(&draft.name),
            repeats: None,
            incarnation: last.map_or(0, |last| last.incarnation) + anew,
            loops: draft.loops,
            paused: now.and_then(|now| now.paused.clone()),
            deployed: Some(self.written()),
            canary: None,
        };
        match canary {
            Some(canary) => trial::beside(now, wanted, canary, land),
            None => Ok(wanted),
        }
    }

    /// Judges a spec beside what there will be; `land` is what there is.
    pub(crate) async fn judge(
        &self,
        spec: &FunctionSpec,
        modules: &[Bytes],
        land: &Landscape,
        planned: &Landscape,
    ) -> Result<Vec<String>, ControlError> {
        let mut notes = rules::function(spec, land.last(&spec.name), planned)?;
        let now = land.functions.get(&spec.name).map(|entry| &entry.spec);
        if let Some(paused) = &spec.paused {
            let (name, by) = (&spec.name, &paused.by);
            notes.push(format!(
                "{name} is paused by {by}: its inputs wait until `eddyline function resume {name}`"
            ));
        }
        if now == Some(spec) {
            return Ok(notes);
        }
        // What is wanted, and what its module is.
        let wanted = spec
            .canary
            .as_ref()
            .map_or(spec, |canary| &canary.candidate);
        if spec.canary.is_some() {
            rules::function(wanted, land.last(&spec.name), planned)?;
        }
        // A store that is yet to be made keeps nothing yet.
        if land.stores.contains_key(&wanted.store) {
            check_age(&self.bus, wanted).await?;
        }
        self.check_modules(wanted.clone(), modules.to_vec(), planned)
            .await?;
        Ok(notes)
    }

    /// Writes a spec that was judged, unless it is what is deployed.
    pub(crate) async fn put_function(
        &self,
        land: &Landscape,
        spec: FunctionSpec,
        modules: Vec<Bytes>,
        mut notes: Vec<String>,
    ) -> Result<Deployed, ControlError> {
        let now = land.functions.get(&spec.name);
        let same = now.filter(|now| now.spec == spec);
        let what = format!("the function {}", spec.name);
        self.expected
            .check(now.map(|now| now.revision), same.is_some(), &what)?;
        self.put_modules(&modules).await?;
        let mut revision = same.map_or(0, |same| same.revision);
        let changed = same.is_none();
        if changed {
            revision = self.replace(land, &spec).await?;
            // A collector that saw no spec name the module may have taken it meanwhile.
            self.put_modules(&modules).await?;
            let swept = self.sweep_ended(land, &spec.name).await;
            if let Err(error) = swept.and(self.collect(&spec.name).await) {
                notes.push(format!("old versions are not collected: {error}"));
            }
        }
        Ok(Deployed {
            spec,
            revision,
            changed,
            notes,
        })
    }

    async fn put_modules(&self, modules: &[Bytes]) -> Result<(), ControlError> {
        for wasm in modules {
            self.bus.put_module(wasm.clone()).await?;
        }
        Ok(())
    }

    /// Puts a spec into the place of another, which is kept; returns its revision.
    async fn replace(&self, land: &Landscape, spec: &FunctionSpec) -> Result<u64, ControlError> {
        let functions = self.functions().await?;
        let name = spec.name.as_str();
        let written = match land.functions.get(&spec.name) {
            Some(before) => {
                self.keep_ended(land, &spec.name).await?;
                if before.spec.version != spec.version {
                    self.keep_version(&before.spec).await?;
                }
                functions.update(name, json(spec), before.revision).await
            }
            None => functions.create(name, json(spec)).await,
        };
        written.map_err(|error| ControlError::written(error, format!("the function {name}")))
    }

    /// Stops a function on every lane, or lets it go on: its inputs wait meanwhile.
    ///
    /// # Errors
    /// [`ControlError`]; nothing was changed.
    pub async fn pause(&self, name: &FunctionName, paused: bool) -> Result<Deployed, ControlError> {
        let land = self.landscape().await?;
        let now = deployed(&land, name)?;
        let changed = now.spec.paused.is_some() != paused;
        let (mut spec, mut revision) = (now.spec.clone(), now.revision);
        if changed {
            spec.paused = paused.then(|| self.written());
            self.keep_ended(&land, name).await?;
            let functions = self.functions().await?;
            let written = functions.update(name.as_str(), json(&spec), now.revision);
            let what = format!("the function {name}");
            let written = written.await;
            revision = written.map_err(|error| ControlError::written(error, what))?;
            self.sweep_ended(&land, name).await?;
        }
        Ok(Deployed {
            spec,
            revision,
            changed,
            notes: Vec::new(),
        })
    }

    /// Withdraws a function: workers stop it after the batch that they are at. Its
    /// checkpoints and versions stay, so that a deployment under the same name goes on
    /// from there. Returns its spec.
    ///
    /// # Errors
    /// [`ControlError::Missing`]; a namespace names it; those of the bus.
    pub async fn remove_function(&self, name: &FunctionName) -> Result<FunctionSpec, ControlError> {
        let land = self.landscape().await?;
        let now = deployed(&land, name)?;
        let what = format!("the function {name}");
        self.expected.check(Some(now.revision), false, &what)?;
        rules::removal_of_function(name, &land)?;
        trial::none_on_trial(&now.spec)?;
        self.keep_ended(&land, name).await?;
        self.keep_version(&now.spec).await?;
        let functions = self.functions().await?;
        let deleted = functions.delete(name.as_str(), now.revision).await;
        deleted.map_err(|error| ControlError::written(error, format!("the function {name}")))?;
        self.sweep_ended(&land, name).await?;
        Ok(now.spec.clone())
    }

    /// The first sequence of a start.
    pub(crate) async fn resolve(&self, draft: &FunctionDraft) -> Result<u64, ControlError> {
        let stream = stream(&draft.store, &draft.trigger);
        let since = match draft.start {
            Start::Earliest => return Ok(1),
            Start::Latest => None,
            Start::Time(since_us) => {
                let filter = Subject::store_filter(kind(&draft.trigger), &draft.store);
                self.bus.first_since(&stream, &filter, since_us).await?
            }
        };
        match since {
            Some(seq) => Ok(seq),
            None => Ok(self.bus.stream_state(&stream).await?.last_seq + 1),
        }
    }
}

/// The function as it is deployed.
pub(crate) fn deployed<'a>(
    land: &'a Landscape,
    name: &FunctionName,
) -> Result<&'a Entry<FunctionSpec>, ControlError> {
    land.readable(name.as_str())?;
    land.functions
        .get(name)
        .ok_or_else(|| ControlError::Missing {
            what: format!("function {name}"),
        })
}

/// The module of the first stage, and the stages that follow on it.
pub(crate) fn stages(
    draft: &FunctionDraft,
    modules: &[Bytes],
) -> Result<(Digest, Vec<Stage>), ControlError> {
    let missing = |of: &FunctionName| ControlError::Missing {
        what: format!("module of {of}"),
    };
    let mut modules = modules.iter();
    let first = modules.next().ok_or_else(|| missing(&draft.name))?;
    let then = draft.then.iter().map(|stage| {
        let wasm = modules.next().ok_or_else(|| missing(&stage.name))?;
        Ok(stage.with(wasm))
    });
    Ok((digest(first), then.collect::<Result<_, ControlError>>()?))
}

/// Whether what is wanted is what is deployed: all but who, when and which version.
fn is_same(now: &FunctionSpec, draft: &FunctionDraft, digest: &Digest, then: &[Stage]) -> bool {
    let wanted = FunctionSpec {
        digest: digest.clone(),
        store: draft.store.clone(),
        trigger: draft.trigger.clone(),
        headers: draft.headers.clone(),
        emits: draft.emits.clone(),
        config: draft.config.clone(),
        then: then.to_vec(),
        limits: draft.limits.clone(),
        linger_ms: draft.linger_ms,
        loops: draft.loops,
        ..now.clone()
    };
    *now == wanted
}

/// The kind of a function's inputs.
pub(crate) fn kind(trigger: &Trigger) -> Kind {
    match trigger {
        Trigger::Gate => Kind::In,
        Trigger::Reactive(_) | Trigger::Schedule(_) => Kind::Ev,
    }
}

/// The stream that a function reads.
pub(crate) fn stream(store: &StoreName, trigger: &Trigger) -> StreamName {
    match trigger {
        Trigger::Gate => StreamName::ingress(store),
        Trigger::Reactive(_) | Trigger::Schedule(_) => StreamName::events(store),
    }
}

/// Retries must end before retention takes the event that is retried.
async fn check_age(bus: &Bus, spec: &FunctionSpec) -> Result<(), ControlError> {
    let stream = stream(&spec.store, &spec.trigger);
    let kept_ms = bus.stream_state(&stream).await?.max_age.as_millis();
    if kept_ms == 0 || u128::from(spec.limits.retry_age_ms) < kept_ms {
        return Ok(());
    }
    let problem = format!(
        "{} is not below the {kept_ms} ms for which {stream} keeps events",
        spec.limits.retry_age_ms
    );
    Err(ControlError::refused("limits.retry_age_ms", problem))
}
