//! What a worker shows of itself: the functions that run, the lanes that it owns, and how
//! each of them stands. Owns that; lanes write their own part, and `WORKERS`, health and
//! tests read it.

use std::collections::BTreeMap;
use std::sync::Arc;

use bus::pulse::Pulse;
use host::pool::Cost;
use parking_lot::Mutex;
use protocol::checkpoint::Digest;
use protocol::lane::Lane;
use protocol::name::FunctionName;
use protocol::report::{FunctionReport, LaneReport, short_reason};
use tokio::sync::watch;

use crate::deployed::Deployed;
use crate::meter::{Meter, Meters};
use crate::trial::{Count, Trial};

/// What a worker shows of itself.
#[derive(Debug)]
pub struct Status {
    shown: Mutex<Shown>,
    /// Counts what others should hear of at once: lags are told in their time.
    changes: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Shown {
    functions: BTreeMap<FunctionName, Version>,
    broken: BTreeMap<FunctionName, String>,
    lanes: BTreeMap<(FunctionName, Lane), Owned>,
    meters: Meters,
}

/// What runs of a function.
#[derive(Debug)]
struct Version {
    digest: Digest,
    revision: u64,
    number: u64,
    trial: Option<Arc<Trial>>,
}

/// One lane.
#[derive(Debug)]
struct Owned {
    report: LaneReport,
    /// When its oldest input was stored that is not settled, microseconds since 1970.
    oldest: Option<u64>,
    cost: Arc<Cost>,
    /// That of the version on trial.
    beside: Arc<Cost>,
}

impl Owned {
    fn memory_bytes(&self) -> u64 {
        self.cost.memory_bytes() + self.beside.memory_bytes()
    }

    fn report(&self, now_us: u64) -> LaneReport {
        let age = |since: u64| now_us.saturating_sub(since) / 1_000;
        LaneReport {
            lag_ms: self.oldest.map_or(0, age),
            ..self.report.clone()
        }
    }
}

impl Default for Status {
    fn default() -> Self {
        Self {
            shown: Mutex::default(),
            changes: watch::channel(0).0,
        }
    }
}

impl Status {
    /// A function runs like this from now on.
    pub(crate) fn runs(&self, deployed: &Deployed) {
        let spec = &deployed.program.spec;
        self.change(|shown| {
            let version = Version {
                digest: spec.digest.clone(),
                revision: deployed.revision,
                number: spec.version,
                trial: deployed.trial.clone(),
            };
            shown.functions.insert(spec.name.clone(), version);
            shown.broken.remove(&spec.name);
        });
    }

    /// A function does not run any more.
    pub(crate) fn runs_no_more(&self, name: &FunctionName) {
        self.change(|shown| {
            shown.functions.remove(name);
            shown.broken.remove(name);
            shown.meters.forget(name);
        });
    }

    /// What is deployed of a function does not run here.
    pub(crate) fn is_broken(&self, name: FunctionName, reason: &str) {
        let reason = short_reason(reason);
        self.change(|shown| {
            shown.broken.insert(name, reason);
        });
    }

    /// A lane is owned, and runs this revision of its function's spec.
    pub(crate) fn owned(
        self: &Arc<Self>,
        function: FunctionName,
        lane: Lane,
        revision: u64,
    ) -> OwnedLane {
        let owned = Owned {
            report: LaneReport::new(lane, revision),
            oldest: None,
            cost: Arc::default(),
            beside: Arc::default(),
        };
        let key = (function, lane);
        self.change(|shown| {
            shown.lanes.insert(key.clone(), owned);
        });
        OwnedLane {
            status: self.clone(),
            key,
        }
    }

    /// The functions that run, with the lanes of each that are owned, and what was done.
    pub(crate) fn functions(&self, now_us: u64) -> BTreeMap<FunctionName, FunctionReport> {
        let shown = self.shown.lock();
        let functions = shown.functions.iter().map(|(name, version)| {
            let first = (name.clone(), Lane(0));
            let lanes = shown.lanes.range(first..);
            let lanes = lanes.take_while(|((of, _), _)| of == name);
            let cost = |(_, lane): (_, &Owned)| lane.memory_bytes();
            let report = FunctionReport {
                digest: version.digest.clone(),
                revision: version.revision,
                version: version.number,
                memory_bytes: lanes.clone().map(cost).sum(),
                lanes: lanes.map(|(_, lane)| lane.report(now_us)).collect(),
                work: shown.meters.work(name),
                trial: version.trial.as_ref().map(|trial| trial.report()),
            };
            (name.clone(), report)
        });
        functions.collect()
    }

    /// How a version of a function is called in metrics.
    pub(crate) fn label(&self, function: &FunctionName, version: u64) -> String {
        self.shown.lock().meters.label(function, version)
    }

    /// The functions that do not run as they are deployed, and why.
    pub(crate) fn broken(&self) -> BTreeMap<FunctionName, String> {
        self.shown.lock().broken.clone()
    }

    /// Changes with everything that others should hear of at once.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn change(&self, change: impl FnOnce(&mut Shown)) {
        let owned = {
            let mut shown = self.shown.lock();
            change(&mut shown);
            shown.lanes.len()
        };
        metrics::gauge!("lanes_owned").set(owned as f64);
        self.changes.send_modify(|count| *count += 1);
    }

    fn count(&self, which: impl Fn(&LaneReport) -> bool) -> usize {
        let shown = self.shown.lock();
        let lanes = shown.lanes.values();
        lanes.filter(|lane| which(&lane.report)).count()
    }
}

/// A lane that is owned, for as long as it lives.
#[derive(Debug)]
pub struct OwnedLane {
    status: Arc<Status>,
    key: (FunctionName, Lane),
}

impl OwnedLane {
    /// The lane runs this revision of its function's spec, and this version.
    pub fn runs(&self, revision: u64, version: u64) {
        let mut swapped = false;
        self.change(|lane| {
            swapped = lane.revision != revision;
            lane.revision = revision;
        });
        if swapped {
            let mut shown = self.status.shown.lock();
            shown.meters.swapped(&self.key.0, version);
        }
    }

    /// Counts what a version of the function does.
    pub fn meter(&self, version: u64, trial: Option<Count>) -> Meter {
        let meters = &mut self.status.shown.lock().meters;
        meters.of(&self.key.0, version, trial)
    }

    /// The version on trial has failed on this lane.
    pub fn trial_failed(&self) {
        self.status.change(|_| ());
    }

    /// The lane's calls cost this, and its instance holds that.
    pub fn costs(&self, cost: &Arc<Cost>) {
        let mut shown = self.status.shown.lock();
        if let Some(lane) = shown.lanes.get_mut(&self.key) {
            lane.cost = cost.clone();
        }
    }

    /// The same of the version on trial.
    pub fn costs_beside(&self, cost: &Arc<Cost>) {
        let mut shown = self.status.shown.lock();
        if let Some(lane) = shown.lanes.get_mut(&self.key) {
            lane.beside = cost.clone();
        }
    }

    /// The lane stands still, or (`None`) goes on.
    pub fn halted(&self, reason: Option<&str>) {
        let reason = reason.map(short_reason);
        self.change(|lane| lane.halted = reason);
    }

    /// Retention has taken what was not handled.
    pub fn lost(&self, what: String) {
        self.change(|lane| lane.lost = Some(what));
    }

    /// The lane cannot be read for now, or (`None`) can.
    pub fn unread(&self, reason: Option<String>) {
        let reason = reason.as_deref().map(short_reason);
        let is_known = {
            let shown = self.status.shown.lock();
            let lane = shown.lanes.get(&self.key);
            lane.is_none_or(|lane| lane.report.unread == reason)
        };
        if !is_known {
            self.change(|lane| lane.unread = reason);
        }
    }

    /// How far behind the lane is: events, when the oldest was stored that is not settled
    /// (microseconds since 1970), and channels that wait.
    pub fn lags(&self, events: u64, oldest: Option<u64>, parked: u64) {
        let mut shown = self.status.shown.lock();
        if let Some(lane) = shown.lanes.get_mut(&self.key) {
            (lane.report.lag_events, lane.report.parked) = (events, parked);
            lane.oldest = oldest;
        }
    }

    fn change(&self, change: impl FnOnce(&mut LaneReport)) {
        self.status.change(|shown| {
            if let Some(lane) = shown.lanes.get_mut(&self.key) {
                change(&mut lane.report);
            }
        });
    }
}

impl Drop for OwnedLane {
    fn drop(&mut self) {
        self.status.change(|shown| {
            shown.lanes.remove(&self.key);
        });
    }
}

/// A view of a running worker that outlives it.
#[derive(Debug, Clone)]
pub struct WorkerStatus {
    status: Arc<Status>,
    connected: watch::Receiver<bool>,
    pulse: Pulse,
}

impl WorkerStatus {
    /// A view of these counts, and of what the worker depends on.
    pub(crate) fn new(status: Arc<Status>, connected: watch::Receiver<bool>, pulse: Pulse) -> Self {
        Self {
            status,
            connected,
            pulse,
        }
    }

    /// Lanes that this worker runs now, over all functions.
    pub fn lanes_owned(&self) -> usize {
        self.status.count(|_| true)
    }

    /// Lanes on which a function has halted.
    pub fn lanes_halted(&self) -> usize {
        self.status.count(|lane| lane.halted.is_some())
    }

    /// The functions that are compiled and running, with their modules.
    pub fn functions(&self) -> Vec<(FunctionName, Digest)> {
        let shown = self.status.shown.lock();
        let functions = shown.functions.iter();
        functions
            .map(|(name, version)| (name.clone(), version.digest.clone()))
            .collect()
    }

    /// What keeps the worker from being ready, in words. A halted lane is an alarm of
    /// its own (`function_halted`): taking the worker's traffic away would not help.
    pub fn waiting(&self) -> Vec<String> {
        let mut waiting = Vec::new();
        if !*self.connected.borrow() {
            waiting.push("not connected to nats".to_owned());
        }
        waiting.extend(self.pulse.waiting());
        waiting
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_that_stands_still_falls_further_behind() {
        let owned = Owned {
            report: LaneReport::new(Lane(1), 3),
            oldest: Some(5_000_000),
            cost: Arc::default(),
            beside: Arc::default(),
        };
        assert_eq!(owned.report(6_000_000).lag_ms, 1_000);
        assert_eq!(owned.report(9_000_000).lag_ms, 4_000);
        assert_eq!(owned.report(0).lag_ms, 0, "clocks differ");
    }

    #[test]
    fn a_lane_that_takes_up_another_version_has_swapped() {
        let status = Arc::new(Status::default());
        let gate = FunctionName::parse("gate").unwrap();
        let swaps = || {
            let work = status.shown.lock().meters.work(&gate);
            work.map_or(0, |work| work.swaps)
        };
        let lane = status.owned(gate.clone(), Lane(0), 7);
        lane.runs(7, 1);
        assert_eq!(swaps(), 0, "it was taken over with this one");
        lane.runs(9, 2);
        lane.runs(9, 2);
        assert_eq!(swaps(), 1);
    }
}
