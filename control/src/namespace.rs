//! Namespaces: made, and taken away.
//!
//! Owns nothing; writes keys of namespaces in `CONFIG` alone, by compare-and-set.

use protocol::class::Classes;
use protocol::name::{FunctionName, Namespace, StoreName};
use protocol::spec::{NamespaceSpec, Path, PresenceSetting, Written, key};

use crate::deployer::{Deployer, json};
use crate::error::ControlError;
use crate::landscape::Landscape;
use crate::rules;

/// A namespace as it is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamespaceDraft {
    /// Its name.
    pub name: Namespace,
    /// The store that its channels live in.
    pub store: StoreName,
    /// The function that its events pass first.
    pub gate: Option<FunctionName>,
    /// How its events may be delivered; `None`: as it is, and durable alone if it is not
    /// there yet.
    pub classes: Option<Classes>,
    /// The header by which ephemeral events are conflated, empty for none; `None`: as it is,
    /// and none if it is not there yet.
    pub conflate: Option<String>,
    /// How long deliveries wait for more, milliseconds; `None`: as it is, and not at all if
    /// it is not there yet.
    pub batch_ms: Option<u32>,
    /// Most bytes that a tenant may have stored in it, 0 for its share of the store; `None`:
    /// as it is, and its share if it is not there yet.
    pub quota_bytes: Option<u64>,
    /// Whether its channels tell who is on them; `None`: as it is, and not if it is not
    /// there yet.
    pub presence: Option<PresenceSetting>,
}

impl NamespaceDraft {
    /// A namespace of which nothing else is said.
    pub fn new(name: Namespace, store: StoreName, gate: Option<FunctionName>) -> Self {
        Self {
            name,
            store,
            gate,
            classes: None,
            conflate: None,
            batch_ms: None,
            quota_bytes: None,
            presence: None,
        }
    }

    /// As a spec, over the one that there is.
    pub(crate) fn spec(self, before: Option<&NamespaceSpec>, written: Written) -> NamespaceSpec {
        NamespaceSpec {
            name: self.name,
            store: self.store,
            path: self.gate.map_or(Path::Direct, Path::Function),
            classes: self
                .classes
                .or(before.map(|spec| spec.classes))
                .unwrap_or_default(),
            conflate: match self.conflate {
                Some(header) => Some(header).filter(|header| !header.is_empty()),
                None => before.and_then(|spec| spec.conflate.clone()),
            },
            batch_ms: self
                .batch_ms
                .or(before.map(|spec| spec.batch_ms))
                .unwrap_or_default(),
            quota_bytes: match self.quota_bytes {
                Some(bytes) => Some(bytes).filter(|bytes| *bytes > 0),
                None => before.and_then(|spec| spec.quota_bytes),
            },
            presence: match self.presence {
                Some(setting) => setting.spec(),
                None => before.and_then(|spec| spec.presence),
            },
            written: Some(written),
        }
    }
}

/// What became of a namespace that was wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Its spec, as it is stored.
    pub spec: NamespaceSpec,
    /// Its revision in `CONFIG`.
    pub revision: u64,
    /// It was not there before.
    pub created: bool,
    /// It was there, and different.
    pub changed: bool,
    /// What is accepted but not as it should be.
    pub notes: Vec<String>,
}

impl Deployer {
    /// Makes a namespace, or changes what may be changed of one that is there; one that is
    /// the same is left as it is.
    ///
    /// # Errors
    /// [`ControlError`]; nothing was changed.
    pub async fn apply_namespace(&self, draft: NamespaceDraft) -> Result<Applied, ControlError> {
        let land = self.landscape().await?;
        let spec = self.namespace_spec(&land, draft)?;
        let before = land.namespaces.get(&spec.name).map(|entry| &entry.spec);
        let notes = rules::namespace(&spec, before, &land)?;
        self.check_classes(&spec, &land, &land).await?;
        self.put_namespace(&land, spec, notes).await
    }

    /// The spec of what is wanted; that of what is there if it is the same.
    pub(crate) fn namespace_spec(
        &self,
        land: &Landscape,
        draft: NamespaceDraft,
    ) -> Result<NamespaceSpec, ControlError> {
        land.readable(&key::namespace(&draft.name))?;
        let before = land.namespaces.get(&draft.name).map(|entry| &entry.spec);
        let wanted = draft.spec(before, self.written());
        // Who wrote it, and when, is no difference.
        let same = before.filter(|spec| {
            let written = spec.written.clone();
            let wanted = wanted.clone();
            **spec == NamespaceSpec { written, ..wanted }
        });
        Ok(same.cloned().unwrap_or(wanted))
    }

    /// Writes a spec that was judged, unless it is what is there.
    pub(crate) async fn put_namespace(
        &self,
        land: &Landscape,
        spec: NamespaceSpec,
        notes: Vec<String>,
    ) -> Result<Applied, ControlError> {
        let before = land.namespaces.get(&spec.name);
        let changed = before.is_some_and(|before| before.spec != spec);
        let what = format!("the namespace {}", spec.name);
        let mut revision = before.map(|before| before.revision);
        self.expected
            .check(revision, before.is_some() && !changed, &what)?;
        if before.is_none() || changed {
            let (key, config) = (key::namespace(&spec.name), self.config().await?);
            let written = match before {
                None => config.create(&key, json(&spec)).await,
                Some(before) => config.update(&key, json(&spec), before.revision).await,
            };
            revision = Some(written.map_err(|error| ControlError::written(error, what))?);
        }
        Ok(Applied {
            spec,
            revision: revision.unwrap_or_default(),
            created: before.is_none(),
            changed,
            notes,
        })
    }

    /// Removes a namespace; edges refuse what is published to it. What is stored stays for
    /// as long as its store keeps it. Returns its spec.
    ///
    /// # Errors
    /// [`ControlError::Missing`]; a function may emit to it; those of the bus.
    pub async fn remove_namespace(&self, name: &Namespace) -> Result<NamespaceSpec, ControlError> {
        let land = self.landscape().await?;
        land.readable(&key::namespace(name))?;
        let what = format!("namespace {name}");
        let Some(entry) = land.namespaces.get(name) else {
            return Err(ControlError::Missing { what });
        };
        self.expected.check(Some(entry.revision), false, &what)?;
        rules::removal_of_namespace(name, &land)?;
        let config = self.config().await?;
        let deleted = config.delete(&key::namespace(name), entry.revision).await;
        deleted.map_err(|error| ControlError::written(error, what))?;
        Ok(entry.spec.clone())
    }
}
