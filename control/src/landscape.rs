//! Everything that is configured and deployed, read together: what a change is judged
//! against.
//!
//! Owns a copy of the buckets at one moment. It must not know what is allowed.

use std::collections::{BTreeMap, BTreeSet};

use bus::{Bus, BusError};
use protocol::name::{FunctionName, Namespace, StoreName};
use protocol::spec::{FunctionSpec, Judgement, NamespaceSpec, StoreSpec, key};
use protocol::stream::Bucket;
use serde::de::DeserializeOwned;

use crate::error::ControlError;

/// A spec, and the revision to change it by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry<T> {
    /// The spec.
    pub spec: T,
    /// Its revision in its bucket.
    pub revision: u64,
}

/// What there is.
#[derive(Debug, Clone, Default)]
pub struct Landscape {
    /// Stores.
    pub stores: BTreeMap<StoreName, StoreSpec>,
    /// Namespaces.
    pub namespaces: BTreeMap<Namespace, Entry<NamespaceSpec>>,
    /// Deployed functions.
    pub functions: BTreeMap<FunctionName, Entry<FunctionSpec>>,
    /// The versions that are kept of each function, of removed ones too, but for the one
    /// that is deployed.
    pub versions: BTreeMap<FunctionName, BTreeMap<u64, FunctionSpec>>,
    /// How the last trial of each function ended.
    pub judged: BTreeMap<FunctionName, Judgement>,
    /// Functions of which the stored spec still has the trial that was judged, as it is
    /// stored: what they are since then stands among the functions.
    pub ended: BTreeMap<FunctionName, FunctionSpec>,
    /// Keys of specs that this program cannot read, and why.
    pub unreadable: BTreeMap<String, String>,
}

/// What others, or a plan's other parts, are about to do.
#[derive(Debug, Clone, Default)]
pub struct Pending {
    /// What will be there as well, or instead.
    pub there: Landscape,
    /// Namespaces that will be gone before what is planned is done.
    pub gone: BTreeSet<Namespace>,
}

impl Landscape {
    /// Reads it.
    ///
    /// # Errors
    /// Those of the bus. Cancel safe.
    pub async fn read(bus: &Bus) -> Result<Self, BusError> {
        let mut land = Self::default();
        for (key, json, revision) in bus.kv(Bucket::Config).await?.entries().await? {
            if key.starts_with(key::STORE_PREFIX) {
                if let Some(spec) = land.parse::<StoreSpec>(&key, &json) {
                    land.stores.insert(spec.name.clone(), spec);
                }
            } else if key.starts_with(key::NAMESPACE_PREFIX)
                && let Some(spec) = land.parse::<NamespaceSpec>(&key, &json)
            {
                let entry = Entry { spec, revision };
                land.namespaces.insert(entry.spec.name.clone(), entry);
            }
        }
        for (key, json, revision) in bus.kv(Bucket::Functions).await?.entries().await? {
            if let Some(name) = key::parse_judged(&key) {
                let judgement = land.parse::<Judgement>(&key, &json);
                land.judged
                    .extend(judgement.map(|judgement| (name, judgement)));
                continue;
            }
            let Some(spec) = land.parse::<FunctionSpec>(&key, &json) else {
                continue;
            };
            match key::parse_version(&key) {
                Some((name, version)) => {
                    land.versions.entry(name).or_default().insert(version, spec);
                }
                None => {
                    let entry = Entry { spec, revision };
                    land.functions.insert(entry.spec.name.clone(), entry);
                }
            }
        }
        land.settle();
        // Written before its function was replaced, by a deployment that did not end.
        for (name, entry) in &land.functions {
            if let Some(versions) = land.versions.get_mut(name) {
                versions.remove(&entry.spec.version);
            }
        }
        Ok(land)
    }

    /// Makes of each function what its last judgement has made of it.
    pub(crate) fn settle(&mut self) {
        for (name, entry) in &mut self.functions {
            let judgement = self.judged.get(name);
            let Some(spec) = judgement.and_then(|judgement| entry.spec.judged(judgement)) else {
                continue;
            };
            let stored = std::mem::replace(&mut entry.spec, spec);
            if entry.spec.version != stored.version {
                let versions = self.versions.entry(name.clone()).or_default();
                versions.insert(stored.version, stored.without_canary());
            }
            self.ended.insert(name.clone(), stored);
        }
    }

    /// The number of a function's next version: after every one that it has had, whatever
    /// became of it.
    pub(crate) fn next_version(&self, name: &FunctionName) -> u64 {
        let last = self.last(name).map_or(0, |last| last.version);
        let judged = self.judged.get(name).map_or(0, |judged| judged.version);
        last.max(judged) + 1
    }

    fn parse<T: DeserializeOwned>(&mut self, key: &str, json: &[u8]) -> Option<T> {
        match serde_json::from_slice(json) {
            Ok(spec) => Some(spec),
            Err(error) => {
                self.unreadable.insert(key.to_owned(), error.to_string());
                None
            }
        }
    }

    /// Once what is pending has been done.
    #[must_use]
    pub fn after(&self, pending: &Pending) -> Self {
        let there = &pending.there;
        let mut land = self.clone();
        land.namespaces
            .retain(|name, _| !pending.gone.contains(name));
        land.stores.extend(there.stores.clone());
        land.namespaces.extend(there.namespaces.clone());
        land.functions.extend(there.functions.clone());
        land
    }

    /// Refuses to change what cannot be read: it may be newer than this program.
    ///
    /// # Errors
    /// [`ControlError::Stored`].
    pub fn readable(&self, key: &str) -> Result<(), ControlError> {
        match self.unreadable.get(key) {
            None => Ok(()),
            Some(problem) => Err(ControlError::Stored {
                key: key.to_owned(),
                problem: problem.clone(),
            }),
        }
    }

    /// The namespaces that name this function as their gate.
    pub fn namespaces_of(&self, gate: &FunctionName) -> impl Iterator<Item = &NamespaceSpec> {
        let specs = self.namespaces.values().map(|entry| &entry.spec);
        specs.filter(move |spec| spec.gate() == Some(gate))
    }

    /// A function as it was deployed last: as it is now, or before it was removed.
    pub fn last(&self, name: &FunctionName) -> Option<&FunctionSpec> {
        let now = self.functions.get(name).map(|entry| &entry.spec);
        now.or_else(|| {
            let (_, spec) = self.versions.get(name)?.last_key_value()?;
            Some(spec)
        })
    }
}
