//! A version on trial beside the one that is deployed: what may be tried, and how it does.
//!
//! Owns nothing: a trial is part of its function's spec.

use std::collections::BTreeMap;

use protocol::report::{TRIALS_MAX, TrialReport, WorkerReport};
use protocol::spec::{Canary, FunctionSpec};
use protocol::work::Work;
use serde::Serialize;

use crate::draft::CanaryDraft;
use crate::error::ControlError;
use crate::landscape::Landscape;

/// How a trial stands, over all workers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrialLoad {
    /// The version that is on trial.
    pub version: u64,
    /// Its share of the channels, in a thousand.
    pub permille: u16,
    /// What it has done.
    pub candidate: Work,
    /// What the version beside it has done on the other channels.
    pub other: Work,
    /// Why it does not run, by worker.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub failed: BTreeMap<String, String>,
}

/// A candidate beside what is deployed now, as one spec.
pub(crate) fn beside(
    now: Option<&FunctionSpec>,
    candidate: FunctionSpec,
    draft: CanaryDraft,
    land: &Landscape,
) -> Result<FunctionSpec, ControlError> {
    let refuse = |problem: String| Err(ControlError::refused("canary", problem));
    let name = &candidate.name;
    let Some(now) = now else {
        return refuse(format!(
            "{name} is not deployed: there is nothing to try it beside"
        ));
    };
    if now.paused.is_some() {
        return refuse(format!(
            "{name} is paused, and a trial needs events: `eddyline function resume {name}`"
        ));
    }
    let trials = land.functions.values().map(|entry| &entry.spec);
    let trials = trials.filter(|spec| spec.store == now.store && spec.canary.is_some());
    if trials.count() >= TRIALS_MAX {
        return refuse(format!(
            "{TRIALS_MAX} functions of the store {} are on trial: a worker's report has room \
             for no more",
            now.store
        ));
    }
    let canary = Canary {
        permille: draft.permille,
        candidate: Box::new(candidate),
        events_min: draft.events_min,
        for_ms: draft.for_ms,
    };
    Ok(FunctionSpec {
        canary: Some(canary),
        ..now.clone()
    })
}

/// Refuses what may not be done while a version is on trial.
pub(crate) fn none_on_trial(spec: &FunctionSpec) -> Result<(), ControlError> {
    let Some(canary) = &spec.canary else {
        return Ok(());
    };
    let (name, version) = (&spec.name, canary.candidate.version);
    let problem = format!(
        "version {version} of {name} is on trial: `eddyline function promote {name}` or \
         `eddyline function rollback {name}` ends that first"
    );
    Err(ControlError::refused("canary", problem))
}

/// How the trial of a function stands, if it has one.
pub(crate) fn trial<'a>(
    spec: &FunctionSpec,
    reports: impl IntoIterator<Item = &'a WorkerReport>,
) -> Option<TrialLoad> {
    let canary = spec.canary.as_ref()?;
    let mut load = TrialLoad {
        version: canary.candidate.version,
        permille: canary.permille,
        candidate: Work::default(),
        other: Work::default(),
        failed: BTreeMap::new(),
    };
    for report in reports {
        let function = report.functions.get(&spec.name);
        let trial = function.and_then(|function| function.trial.as_ref());
        let Some(trial) = trial.filter(|trial| trial.version == load.version) else {
            continue;
        };
        let TrialReport {
            failed,
            candidate,
            other,
            ..
        } = trial;
        load.candidate = load.candidate.and(candidate);
        load.other = load.other.and(other);
        if let Some(reason) = failed {
            load.failed.insert(report.name.clone(), reason.clone());
        }
    }
    Some(load)
}

#[cfg(test)]
mod tests;
