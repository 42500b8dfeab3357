//! What a worker shows of itself: the functions that run, the lanes that it owns, and how
//! each of them stands. Owns that; lanes write their own part, and `WORKERS`, health and
//! tests read it.

use std::collections::BTreeMap;
use std::sync::Arc;

use bus::pulse::Pulse;
use parking_lot::Mutex;
use protocol::checkpoint::Digest;
use protocol::lane::Lane;
use protocol::name::FunctionName;
use protocol::report::{FunctionReport, LaneReport, short_reason};
use tokio::sync::watch;

use crate::deployed::Deployed;

/// What a worker shows of itself.
#[derive(Debug)]
pub struct Status {
    shown: Mutex<Shown>,
    /// Counts what others should hear of at once: lags are told in their time.
    changes: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Shown {
    functions: BTreeMap<FunctionName, (Digest, u64)>,
    broken: BTreeMap<FunctionName, String>,
    lanes: BTreeMap<(FunctionName, Lane), LaneReport>,
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
            let version = (spec.digest.clone(), deployed.revision);
            shown.functions.insert(spec.name.clone(), version);
            shown.broken.remove(&spec.name);
        });
    }

    /// A function does not run any more.
    pub(crate) fn runs_no_more(&self, name: &FunctionName) {
        self.change(|shown| {
            shown.functions.remove(name);
            shown.broken.remove(name);
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
        let report = LaneReport::new(lane, revision);
        let key = (function, lane);
        self.change(|shown| {
            shown.lanes.insert(key.clone(), report);
        });
        OwnedLane {
            status: self.clone(),
            key,
        }
    }

    /// The functions that run, with the lanes of each that are owned.
    pub(crate) fn functions(&self) -> BTreeMap<FunctionName, FunctionReport> {
        let shown = self.shown.lock();
        let functions = shown.functions.iter().map(|(name, (digest, revision))| {
            let lanes = shown.lanes.iter().filter(|((of, _), _)| of == name);
            let report = FunctionReport {
                digest: digest.clone(),
                revision: *revision,
                lanes: lanes.map(|(_, lane)| lane.clone()).collect(),
            };
            (name.clone(), report)
        });
        functions.collect()
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
        shown.lanes.values().filter(|lane| which(lane)).count()
    }
}

/// A lane that is owned, for as long as it lives.
#[derive(Debug)]
pub struct OwnedLane {
    status: Arc<Status>,
    key: (FunctionName, Lane),
}

impl OwnedLane {
    /// The lane runs this revision of its function's spec.
    pub fn runs(&self, revision: u64) {
        self.change(|lane| lane.revision = revision);
    }

    /// The lane stands still, or (`None`) goes on.
    pub fn halted(&self, reason: Option<&str>) {
        let (function, lane) = (self.key.0.to_string(), self.key.1.to_string());
        metrics::gauge!("function_halted", "function" => function, "lane" => lane)
            .set(u8::from(reason.is_some()));
        let reason = reason.map(short_reason);
        self.change(|lane| lane.halted = reason);
    }

    /// Retention has taken what was not handled.
    pub fn lost(&self, what: String) {
        self.change(|lane| lane.lost = Some(what));
    }

    /// How far behind the lane is: events, the age of the oldest in milliseconds, and
    /// channels that wait.
    pub fn lags(&self, events: u64, ms: u64, parked: u64) {
        let mut shown = self.status.shown.lock();
        if let Some(lane) = shown.lanes.get_mut(&self.key) {
            (lane.lag_events, lane.lag_ms, lane.parked) = (events, ms, parked);
        }
    }

    fn change(&self, change: impl FnOnce(&mut LaneReport)) {
        self.status.change(|shown| {
            if let Some(lane) = shown.lanes.get_mut(&self.key) {
                change(lane);
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
        let functions = self.status.functions().into_iter();
        functions
            .map(|(name, function)| (name, function.digest))
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
