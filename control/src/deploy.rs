//! Deploys a function: checks its module as a worker would, stores it, resolves its
//! start to a sequence, and writes its spec, which every worker follows.
//!
//! Owns nothing. Used by tools and tests, not by workers.

use std::collections::BTreeMap;

use bus::{Bus, BusError, Kv};
use bytes::Bytes;
use host::CheckError;
use protocol::checkpoint::Digest;
use protocol::name::{ChannelPattern, FunctionName, StoreName};
use protocol::spec::{FunctionLimits, FunctionSpec, SpecError, Trigger};
use protocol::stream::Bucket;
use protocol::stream::StreamName;
use protocol::subject::{Kind, Subject};
use sha2::{Digest as _, Sha256};

/// A spec before its module is stored and its start is resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionDraft {
    /// Its name.
    pub name: FunctionName,
    /// The store whose events it handles.
    pub store: StoreName,
    /// What it handles.
    pub trigger: Trigger,
    /// Channels that it may emit to besides the input's own.
    pub emits: Vec<ChannelPattern>,
    /// Settings handed to the guest at its start.
    pub config: BTreeMap<String, String>,
    /// Its limits.
    pub limits: FunctionLimits,
    /// How long its outputs may gather, milliseconds.
    pub linger_ms: u64,
    /// Where it begins. A redeployment keeps the start of the deployment before.
    pub start: Start,
}

/// Where a function begins on lanes that have no checkpoint of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At the first event kept.
    Earliest,
    /// Behind the last event stored when it is deployed.
    Latest,
    /// At the first event stored at or after this time, microseconds since 1970.
    Time(u64),
}

/// Why a function is not deployed.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// The module cannot be used, or does not start with this configuration.
    #[error("module")]
    Module(#[from] CheckError),
    /// The spec is not accepted.
    #[error("spec")]
    Spec(#[from] SpecError),
    /// What is stored under the function's name is not readable.
    #[error("the stored spec of {name} is not readable: {problem}")]
    Stored {
        /// The function.
        name: FunctionName,
        /// What is wrong.
        problem: String,
    },
    /// A gate cannot become a reactive function or move to another store, nor the
    /// other way round: its checkpoints speak of the other stream.
    #[error("{name} is deployed on another stream: withdraw it, or deploy under another name")]
    Moved {
        /// The function.
        name: FunctionName,
    },
    /// Somebody else deploys the function at the same moment; temporary.
    #[error("{name} was deployed by somebody else at the same moment")]
    Conflict {
        /// The function.
        name: FunctionName,
    },
    /// The bus failed.
    #[error("nats")]
    Bus(#[from] BusError),
}

/// Checks and deploys a function; returns its spec as it is stored.
///
/// # Errors
/// [`DeployError`]; workers go on with what was deployed before. The module may be
/// stored already, which harms nobody.
pub async fn deploy(
    bus: &Bus,
    draft: FunctionDraft,
    wasm: Bytes,
) -> Result<FunctionSpec, DeployError> {
    let functions = bus.kv(Bucket::Functions).await?;
    let deployed = read(&functions, &draft.name).await?;
    let digest = Digest::from_bytes(Sha256::digest(&wasm).into());
    let stream = stream(&draft.store, &draft.trigger);
    if deployed
        .as_ref()
        .is_some_and(|(spec, _)| self::stream(&spec.store, &spec.trigger) != stream)
    {
        return Err(DeployError::Moved { name: draft.name });
    }
    let start_seq = match &deployed {
        Some((spec, _)) => spec.start_seq,
        None => resolve(bus, &stream, &draft).await?,
    };
    let FunctionDraft {
        name,
        store,
        trigger,
        emits,
        config,
        limits,
        linger_ms,
        start: _,
    } = draft;
    let spec = FunctionSpec {
        name,
        digest,
        store,
        trigger,
        emits,
        config,
        limits,
        linger_ms,
        start_seq,
        version: 1,
        repeats: None,
        incarnation: 0,
        loops: false,
        paused: None,
        deployed: None,
    };
    spec.check()?;
    check_age(bus, &stream, &spec).await?;
    check_module(spec.clone(), wasm.clone()).await?;
    bus.put_module(wasm).await?;
    let json = serde_json::to_vec(&spec)
        .expect("a spec has only names, texts and numbers")
        .into();
    let written = match deployed {
        Some((_, revision)) => functions.update(spec.name.as_str(), json, revision).await,
        None => functions.create(spec.name.as_str(), json).await,
    };
    match written {
        Ok(_) => Ok(spec),
        Err(BusError::Exists | BusError::Conflict) => {
            Err(DeployError::Conflict { name: spec.name })
        }
        Err(error) => Err(error.into()),
    }
}

/// Withdraws a function: workers stop it after the batch that they are at. Its
/// checkpoints stay, so that a deployment under the same name goes on from there.
///
/// # Errors
/// [`DeployError::Conflict`] when it is deployed at the same moment; those of the bus.
pub async fn remove(bus: &Bus, name: &FunctionName) -> Result<(), DeployError> {
    let functions = bus.kv(Bucket::Functions).await?;
    let Some((_, revision)) = functions.get(name.as_str()).await? else {
        return Ok(());
    };
    match functions.delete(name.as_str(), revision).await {
        Ok(()) => Ok(()),
        Err(BusError::Conflict) => Err(DeployError::Conflict { name: name.clone() }),
        Err(error) => Err(error.into()),
    }
}

async fn read(
    functions: &Kv,
    name: &FunctionName,
) -> Result<Option<(FunctionSpec, u64)>, DeployError> {
    let Some((json, revision)) = functions.get(name.as_str()).await? else {
        return Ok(None);
    };
    match serde_json::from_slice(&json) {
        Ok(spec) => Ok(Some((spec, revision))),
        Err(error) => Err(DeployError::Stored {
            name: name.clone(),
            problem: error.to_string(),
        }),
    }
}

fn kind(trigger: &Trigger) -> Kind {
    match trigger {
        Trigger::Gate => Kind::In,
        Trigger::Reactive(_) => Kind::Ev,
    }
}

fn stream(store: &StoreName, trigger: &Trigger) -> StreamName {
    match trigger {
        Trigger::Gate => StreamName::ingress(store),
        Trigger::Reactive(_) => StreamName::events(store),
    }
}

async fn resolve(bus: &Bus, stream: &StreamName, draft: &FunctionDraft) -> Result<u64, BusError> {
    let since = match draft.start {
        Start::Earliest => return Ok(1),
        Start::Latest => None,
        Start::Time(since_us) => {
            let filter = Subject::store_filter(kind(&draft.trigger), &draft.store);
            bus.first_since(stream, &filter, since_us).await?
        }
    };
    match since {
        Some(seq) => Ok(seq),
        None => Ok(bus.stream_state(stream).await?.last_seq + 1),
    }
}

/// Retries must end before retention takes the event that is retried.
async fn check_age(bus: &Bus, stream: &StreamName, spec: &FunctionSpec) -> Result<(), DeployError> {
    let kept_ms = bus.stream_state(stream).await?.max_age.as_millis();
    if kept_ms > 0 && u128::from(spec.limits.retry_age_ms) >= kept_ms {
        let problem = format!(
            "{} is not below the {kept_ms} ms for which {stream} keeps events",
            spec.limits.retry_age_ms
        );
        return Err(SpecError {
            field: "limits.retry_age_ms",
            problem,
        }
        .into());
    }
    Ok(())
}

async fn check_module(spec: FunctionSpec, wasm: Bytes) -> Result<(), DeployError> {
    match tokio::task::spawn_blocking(move || host::check(spec, &wasm)).await {
        Ok(result) => Ok(result?),
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}
