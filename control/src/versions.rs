//! The versions of a function that are kept, the way back to one of them, and what is
//! collected.
//!
//! Owns nothing. A kept version is a copy; nobody runs it. Modules are removed when no
//! spec names them any more.

use std::collections::BTreeSet;

use protocol::checkpoint::Digest;
use protocol::name::FunctionName;
use protocol::spec::{FunctionSpec, Verdict, key};

use crate::deployer::{Deployer, json};
use crate::error::ControlError;
use crate::function::{Deployed, deployed};
use crate::landscape::Landscape;
use crate::rules;
use crate::trial;

impl Deployer {
    /// Deploys an earlier version again, as a version of its own: the one before the
    /// deployed one unless `to` says which. While a version is on trial, that is taken back
    /// instead.
    ///
    /// # Errors
    /// [`ControlError`]; nothing was changed.
    pub async fn rollback(
        &self,
        name: &FunctionName,
        to: Option<u64>,
    ) -> Result<Deployed, ControlError> {
        let land = self.landscape().await?;
        let now = deployed(&land, name)?;
        if now.spec.canary.is_some() && to.is_none() {
            return self.end_trial(now, Verdict::RolledBack).await;
        }
        trial::none_on_trial(&now.spec)?;
        let target = target(&land, &now.spec, to)?;
        let spec = FunctionSpec {
            version: land.next_version(name),
            repeats: Some(target.repeats.unwrap_or(target.version)),
            start_seq: now.spec.start_seq,
            paused: now.spec.paused.clone(),
            deployed: Some(self.written()),
            ..target.clone()
        };
        if target.incarnation != now.spec.incarnation {
            let problem = format!(
                "version {} is of before {name} began anew: deploy it again",
                target.version
            );
            return Err(ControlError::refused("to", problem));
        }
        let notes = rules::function(&spec, Some(&now.spec), &land)?;
        let mut modules = Vec::new();
        for digest in spec.digests() {
            modules.push(self.bus.get_module(digest).await?);
        }
        self.check_modules(spec.clone(), modules.clone(), &land)
            .await?;
        self.put_function(&land, spec, modules, notes).await
    }

    /// Keeps a version that is about to be replaced.
    pub(crate) async fn keep_version(&self, spec: &FunctionSpec) -> Result<(), ControlError> {
        let functions = self.functions().await?;
        let key = key::version(&spec.name, spec.version);
        functions.put(&key, json(spec)).await?;
        Ok(())
    }

    /// Removes the versions of a function that are more than are kept, and the modules
    /// that no spec names any more.
    pub(crate) async fn collect(&self, name: &FunctionName) -> Result<(), ControlError> {
        let land = self.landscape().await?;
        let kept: Vec<&FunctionSpec> = land
            .versions
            .get(name)
            .into_iter()
            .flat_map(|versions| versions.values())
            .collect();
        // One place is the deployed one's.
        let surplus = kept.len().saturating_sub(self.keep - 1);
        let functions = self.functions().await?;
        let mut orphans = BTreeSet::new();
        for spec in kept.into_iter().take(surplus) {
            let key = key::version(name, spec.version);
            let Some((_, revision)) = functions.get(&key).await? else {
                continue;
            };
            functions.delete(&key, revision).await?;
            orphans.extend(spec.digests());
        }
        for digest in orphans {
            self.remove_orphan(digest).await?;
        }
        Ok(())
    }

    /// Removes a module unless a spec names it. One that is deployed at this moment is put
    /// back: either its spec is seen here, or its deployer finds the module gone and puts
    /// it back itself.
    pub(crate) async fn remove_orphan(&self, digest: &Digest) -> Result<(), ControlError> {
        if names(&self.landscape().await?, digest) {
            return Ok(());
        }
        let wasm = match self.bus.get_module(digest).await {
            Ok(wasm) => wasm,
            Err(bus::BusError::NotFound) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        self.bus.remove_module(digest).await?;
        if names(&self.landscape().await?, digest) {
            self.bus.put_module(wasm).await?;
        }
        Ok(())
    }
}

/// Whether a spec, deployed or kept, names a module. What cannot be read may.
fn names(land: &Landscape, digest: &Digest) -> bool {
    let deployed = land.functions.values().map(|entry| &entry.spec);
    let kept = land
        .versions
        .values()
        .flat_map(|versions| versions.values());
    let is_named = |spec: &FunctionSpec| {
        let tried = spec.canary.as_ref().map(|canary| &*canary.candidate);
        let specs = std::iter::once(spec).chain(tried);
        specs
            .flat_map(FunctionSpec::digests)
            .any(|named| named == digest)
    };
    !land.unreadable.is_empty() || deployed.chain(kept).any(is_named)
}

/// The version to go back to. One that was itself a way back stands for what it repeats,
/// so that a second step back leads further, not forth.
fn target<'a>(
    land: &'a Landscape,
    now: &FunctionSpec,
    to: Option<u64>,
) -> Result<&'a FunctionSpec, ControlError> {
    let kept = land.versions.get(&now.name);
    let found = match to {
        Some(version) => kept.and_then(|kept| kept.get(&version)),
        None => {
            let shown = now.repeats.unwrap_or(now.version);
            let before = kept.and_then(|kept| kept.range(..shown).next_back());
            before.map(|(_, spec)| spec)
        }
    };
    let numbers = || {
        let kept = kept.into_iter().flat_map(|kept| kept.keys());
        let numbers: Vec<String> = kept.map(u64::to_string).collect();
        numbers.join(", ")
    };
    found.ok_or_else(|| {
        let what = match to {
            Some(version) => format!("version {version} of {}", now.name),
            None => format!("version of {} before the deployed one", now.name),
        };
        let what = match numbers() {
            kept if kept.is_empty() => format!("{what}: none is kept"),
            kept => format!("{what}: kept are {kept}"),
        };
        ControlError::Missing { what }
    })
}
