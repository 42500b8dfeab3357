//! Gates that remember something of channels, and namespaces whose events have no place in
//! a channel's order: they do not go together.
//!
//! Owns nothing. What a module remembers is seen by compiling it.

use bytes::Bytes;
use protocol::class::Class;
use protocol::name::FunctionName;
use protocol::spec::{FunctionSpec, NamespaceSpec};

use crate::deployer::Deployer;
use crate::error::ControlError;
use crate::landscape::Landscape;

impl Deployer {
    /// Tries a function's modules as a worker would, and whether what they remember suits
    /// the namespaces whose gate it is.
    pub(crate) async fn check_modules(
        &self,
        spec: FunctionSpec,
        modules: Vec<Bytes>,
        land: &Landscape,
    ) -> Result<(), ControlError> {
        let name = spec.name.clone();
        if !self.remembers(spec, modules).await? {
            return Ok(());
        }
        match land.namespaces_of(&name).find(|spec| is_ephemeral(spec)) {
            None => Ok(()),
            Some(namespace) => {
                let problem = why(&name, namespace);
                Err(ControlError::refused("module", problem))
            }
        }
    }

    /// Whether the gate of a namespace suits its classes, if it is deployed already and not
    /// about to be: what is about to be deployed is judged by itself.
    pub(crate) async fn check_classes(
        &self,
        spec: &NamespaceSpec,
        land: &Landscape,
        planned: &Landscape,
    ) -> Result<(), ControlError> {
        let before = land.namespaces.get(&spec.name).map(|entry| &entry.spec);
        if before == Some(spec) || !is_ephemeral(spec) {
            return Ok(());
        }
        let gate = |land: &Landscape| {
            let entry = land.functions.get(spec.gate()?)?;
            Some(entry.spec.clone())
        };
        let Some(gate) = gate(land).filter(|now| gate(planned).as_ref() == Some(now)) else {
            return Ok(());
        };
        let tried = gate.canary.as_ref().map(|canary| &*canary.candidate);
        for version in [Some(&gate), tried].into_iter().flatten() {
            let mut modules = Vec::new();
            for digest in version.digests() {
                modules.push(self.bus.get_module(digest).await?);
            }
            if self.remembers(version.clone(), modules).await? {
                let problem = why(&gate.name, spec);
                return Err(ControlError::refused("classes", problem));
            }
        }
        Ok(())
    }

    /// Compiles and starts a function as a worker would; whether it remembers anything.
    async fn remembers(
        &self,
        spec: FunctionSpec,
        modules: Vec<Bytes>,
    ) -> Result<bool, ControlError> {
        let compiled = self.compiled.clone();
        let check = move || host::check(spec, &modules, compiled.as_deref());
        match tokio::task::spawn_blocking(check).await {
            Ok(checked) => Ok(checked?.remembers),
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }
}

fn is_ephemeral(spec: &NamespaceSpec) -> bool {
    spec.allows(Class::Ephemeral)
}

fn why(gate: &FunctionName, namespace: &NamespaceSpec) -> String {
    format!(
        "{gate}, the gate of {}, remembers something of channels: ephemeral events, which {} \
         allows, have no place in their order",
        namespace.name, namespace.name
    )
}
