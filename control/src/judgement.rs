//! How a trial ends when a person ends it, and what is left to do once it has ended.
//!
//! Owns nothing. How a trial ended is a key of its own, written once by whoever is first,
//! a worker or a person. What it has made of the function's spec is written into the spec
//! by the next change: until then everybody reads the two together.

use bus::directory;
use protocol::name::FunctionName;
use protocol::spec::{FunctionSpec, Judgement, Verdict};

use crate::deployer::Deployer;
use crate::error::ControlError;
use crate::function::{Deployed, deployed};
use crate::landscape::{Entry, Landscape};
use crate::trial::trial;

impl Deployer {
    /// Ends a trial: the candidate has every channel from now on.
    ///
    /// # Errors
    /// [`ControlError::Missing`]: none is on trial; [`ControlError::Conflict`]: it was
    /// judged at the same moment; those of the bus.
    pub async fn promote(&self, name: &FunctionName) -> Result<Deployed, ControlError> {
        let land = self.landscape().await?;
        let now = deployed(&land, name)?;
        self.end_trial(now, Verdict::Promoted).await
    }

    /// Ends the trial of a function.
    pub(crate) async fn end_trial(
        &self,
        now: &Entry<FunctionSpec>,
        verdict: Verdict,
    ) -> Result<Deployed, ControlError> {
        let spec = &now.spec;
        let Some(canary) = &spec.canary else {
            let what = format!("version of {} on trial", spec.name);
            return Err(ControlError::Missing { what });
        };
        let load = trial(spec, &self.reports(&spec.store).await?);
        let (candidate, other) = load
            .map(|load| (load.candidate, load.other))
            .unwrap_or_default();
        let written = self.written();
        let judgement = Judgement {
            version: canary.candidate.version,
            beside: spec.version,
            verdict,
            reason: format!("by hand, after {} events", candidate.settled()),
            by: written.by,
            at_us: written.at_us,
            candidate,
            other,
        };
        let functions = self.functions().await?;
        let ended = directory::judge(&functions, &spec.name, &judgement).await?;
        let Some((spec, revision)) = spec.judged(&judgement).zip(ended) else {
            let what = format!("the trial of {}", spec.name);
            return Err(ControlError::Conflict { what });
        };
        Ok(Deployed {
            spec,
            revision,
            changed: true,
            notes: Vec::new(),
        })
    }

    /// Keeps the version that a candidate was promoted over: its spec stands where the
    /// next change is written.
    pub(crate) async fn keep_ended(
        &self,
        land: &Landscape,
        name: &FunctionName,
    ) -> Result<(), ControlError> {
        match land.ended.get(name) {
            Some(stored) if !is_taken_back(land, stored) => {
                self.keep_version(&stored.without_canary()).await
            }
            _ => Ok(()),
        }
    }

    /// Removes the module of a candidate that was taken back, once its spec is gone.
    pub(crate) async fn sweep_ended(
        &self,
        land: &Landscape,
        name: &FunctionName,
    ) -> Result<(), ControlError> {
        let stored = land
            .ended
            .get(name)
            .filter(|stored| is_taken_back(land, stored));
        match stored.and_then(|stored| stored.canary.as_ref()) {
            Some(canary) => {
                for digest in canary.candidate.digests() {
                    self.remove_orphan(digest).await?;
                }
                Ok(())
            }
            None => Ok(()),
        }
    }
}

/// Whether the version that a spec has on trial was taken back: what is deployed is still
/// the one beside it.
fn is_taken_back(land: &Landscape, stored: &FunctionSpec) -> bool {
    let now = land.functions.get(&stored.name);
    now.is_some_and(|now| now.spec.version == stored.version)
}
