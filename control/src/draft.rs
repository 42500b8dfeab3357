//! A function as its deployer wants it: a spec before its module is stored and its start
//! is resolved. Plain data; owns nothing.

use std::collections::BTreeMap;

use bytes::Bytes;
use protocol::checkpoint::Digest;
use protocol::filter::HeaderFilter;
use protocol::name::{ChannelPattern, FunctionName, StoreName};
use protocol::spec::{EVENTS_MIN_DEFAULT, FOR_MS_DEFAULT, FunctionLimits, Stage, Trigger};
use sha2::{Digest as _, Sha256};

use crate::app::{FunctionEntry, StageEntry, StartEntry};

/// A spec before its module is stored and its start is resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionDraft {
    /// Its name.
    pub name: FunctionName,
    /// The store whose events it handles.
    pub store: StoreName,
    /// What it handles.
    pub trigger: Trigger,
    /// Headers that an event must have for a reactive function.
    pub headers: HeaderFilter,
    /// Channels that it may emit to besides the input's own.
    pub emits: Vec<ChannelPattern>,
    /// Settings handed to the guest at its start.
    pub config: BTreeMap<String, String>,
    /// Its further stages; their modules come with its own.
    pub then: Vec<StageDraft>,
    /// Its limits.
    pub limits: FunctionLimits,
    /// How long its outputs may gather, milliseconds.
    pub linger_ms: u64,
    /// Whether it may be part of a loop of functions.
    pub loops: bool,
    /// Where it begins. A redeployment keeps the start of the deployment before.
    pub start: Start,
    /// Begin anew: what it has done is not gone on from, and it may become another kind
    /// of function, or one of another store.
    pub restart: bool,
    /// Try it out on a share of the channels beside what is deployed.
    pub canary: Option<CanaryDraft>,
}

/// A trial as it is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CanaryDraft {
    /// Its share of the channels, in a thousand.
    pub permille: u16,
    /// Events that it handles before it may be promoted.
    pub events_min: u64,
    /// How long it is on trial before it may be promoted, milliseconds.
    pub for_ms: u64,
}

impl CanaryDraft {
    /// A trial on this share, with the usual terms.
    pub fn new(permille: u16) -> Self {
        Self {
            permille,
            events_min: EVENTS_MIN_DEFAULT,
            for_ms: FOR_MS_DEFAULT,
        }
    }
}

/// A further stage before its module is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageDraft {
    /// Its name within the function.
    pub name: FunctionName,
    /// Settings handed to it at its start.
    pub config: BTreeMap<String, String>,
}

impl StageDraft {
    /// A stage with its module.
    pub fn with(&self, wasm: &Bytes) -> Stage {
        Stage {
            name: self.name.clone(),
            digest: digest(wasm),
            config: self.config.clone(),
        }
    }

    /// A stage as an application's file describes it.
    pub fn of_entry(entry: &StageEntry) -> Self {
        Self {
            name: entry.name.clone(),
            config: entry.config.clone(),
        }
    }
}

/// A module's digest.
pub fn digest(wasm: &[u8]) -> Digest {
    Digest::from_bytes(Sha256::digest(wasm).into())
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

impl FunctionDraft {
    /// A gate of a store, or with `on` a reactive function, with nothing else said of it:
    /// it begins with the first event kept.
    pub fn new(name: FunctionName, store: StoreName, on: Vec<ChannelPattern>) -> Self {
        Self {
            name,
            store,
            trigger: match on.is_empty() {
                true => Trigger::Gate,
                false => Trigger::Reactive(on),
            },
            headers: HeaderFilter::default(),
            emits: Vec::new(),
            config: BTreeMap::new(),
            then: Vec::new(),
            limits: FunctionLimits::default(),
            linger_ms: 0,
            loops: false,
            start: Start::Earliest,
            restart: false,
            canary: None,
        }
    }

    /// A function as an application's file describes it.
    pub fn of_entry(name: FunctionName, entry: &FunctionEntry) -> Self {
        Self {
            headers: entry.headers.clone(),
            emits: entry.emits.clone(),
            config: entry.config.clone(),
            then: entry.then.iter().map(StageDraft::of_entry).collect(),
            limits: entry.limits.clone(),
            linger_ms: entry.linger_ms,
            loops: entry.loops,
            trigger: entry.trigger(),
            start: match entry.start {
                StartEntry::Earliest => Start::Earliest,
                StartEntry::Latest => Start::Latest,
            },
            ..Self::new(name, entry.store.clone(), Vec::new())
        }
    }
}
