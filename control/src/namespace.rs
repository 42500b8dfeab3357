//! Namespaces: made, and taken away.
//!
//! Owns nothing; writes keys of namespaces in `CONFIG` alone, by compare-and-set.

use protocol::name::{FunctionName, Namespace, StoreName};
use protocol::spec::{NamespaceSpec, Path, key};

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
}

/// What became of a namespace that was wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Its spec, as it is stored.
    pub spec: NamespaceSpec,
    /// It was not there before.
    pub created: bool,
    /// What is accepted but not as it should be.
    pub notes: Vec<String>,
}

impl Deployer {
    /// Makes a namespace; one that is there and the same is left as it is.
    ///
    /// # Errors
    /// [`ControlError`]; nothing was changed.
    pub async fn apply_namespace(&self, draft: NamespaceDraft) -> Result<Applied, ControlError> {
        let land = self.landscape().await?;
        let spec = self.namespace_spec(&land, draft)?;
        let before = land.namespaces.get(&spec.name).map(|entry| &entry.spec);
        let notes = rules::namespace(&spec, before, &land)?;
        self.put_namespace(&land, spec, notes).await
    }

    /// The spec of what is wanted; that of what is there if it is the same.
    pub(crate) fn namespace_spec(
        &self,
        land: &Landscape,
        draft: NamespaceDraft,
    ) -> Result<NamespaceSpec, ControlError> {
        land.readable(&key::namespace(&draft.name))?;
        let wanted = NamespaceSpec {
            name: draft.name,
            store: draft.store,
            path: draft.gate.map_or(Path::Direct, Path::Function),
            written: Some(self.written()),
        };
        let before = land.namespaces.get(&wanted.name).map(|entry| &entry.spec);
        let same = before.filter(|spec| spec.store == wanted.store && spec.path == wanted.path);
        Ok(same.cloned().unwrap_or(wanted))
    }

    /// Writes a spec that was judged. Only one that is new differs from what is there.
    pub(crate) async fn put_namespace(
        &self,
        land: &Landscape,
        spec: NamespaceSpec,
        notes: Vec<String>,
    ) -> Result<Applied, ControlError> {
        let created = !land.namespaces.contains_key(&spec.name);
        if created {
            let key = key::namespace(&spec.name);
            let written = self.config().await?.create(&key, json(&spec)).await;
            let what = format!("the namespace {}", spec.name);
            written.map_err(|error| ControlError::written(error, what))?;
        }
        Ok(Applied {
            spec,
            created,
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
        rules::removal_of_namespace(name, &land)?;
        let config = self.config().await?;
        let deleted = config.delete(&key::namespace(name), entry.revision).await;
        deleted.map_err(|error| ControlError::written(error, what))?;
        Ok(entry.spec.clone())
    }
}
