//! How busy functions are, how far behind, and how they do: from what workers say of
//! themselves.
//!
//! Owns the last two reports of each worker: a rate is the difference between them over
//! the time between them, whenever they were read.

use std::collections::{BTreeMap, BTreeSet};

use protocol::lane::Lane;
use protocol::name::{FunctionName, StoreName};
use protocol::report::{FunctionReport, LaneReport, WorkerReport};
use protocol::spec::FunctionSpec;
use protocol::work::Work;
use serde::Serialize;
use service::clock;

use crate::deployer::Deployer;
use crate::error::ControlError;
use crate::trial::{self, TrialLoad};

/// Looks at the workers of a store, again and again.
#[derive(Debug)]
pub struct Watcher {
    deployer: Deployer,
    store: StoreName,
    seen: BTreeMap<String, Seen>,
}

#[derive(Debug)]
struct Seen {
    before: Option<WorkerReport>,
    now: WorkerReport,
}

/// One look.
#[derive(Debug, Clone, Serialize)]
pub struct Loads {
    /// When, microseconds since 1970.
    pub at_us: u64,
    /// The store.
    pub store: StoreName,
    /// Workers that are there.
    pub workers: usize,
    /// Functions, summed over the workers, whose work no report had room for.
    pub uncounted: u64,
    /// The functions of the store, by name.
    pub functions: Vec<Load>,
}

/// How one function does, over all workers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Load {
    /// Which.
    pub function: FunctionName,
    /// The version that is deployed.
    pub version: u64,
    /// How the version on trial does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trial: Option<TrialLoad>,
    /// Whether its inputs wait because somebody has paused it.
    pub paused: bool,
    /// Lanes that there are.
    pub lanes: u16,
    /// Lanes that run.
    pub running: usize,
    /// Events behind the lanes' positions.
    pub lag_events: u64,
    /// Age of the oldest input that is not settled, milliseconds.
    pub lag_ms: u64,
    /// Channels that wait for another attempt.
    pub parked: u64,
    /// Linear memory of its instances now.
    pub memory_bytes: u64,
    /// Between the last two reports; absent until there are two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rates: Option<Rates>,
    /// Since its workers started.
    pub total: Work,
    /// Each lane that is owned.
    pub by_lane: Vec<LaneLoad>,
    /// Why workers do not run what is deployed.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub broken: BTreeMap<String, String>,
}

/// One lane.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LaneLoad {
    /// Whose it is.
    pub worker: String,
    /// How it stands.
    #[serde(flatten)]
    pub lane: LaneReport,
}

/// What is done in a second.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Rates {
    /// Inputs that are settled.
    pub events_per_s: f64,
    /// Events emitted.
    pub emitted_per_s: f64,
    /// Events acknowledged.
    pub ack_per_s: f64,
    /// Events filtered out.
    pub drop_per_s: f64,
    /// Events refused, or given up.
    pub reject_per_s: f64,
    /// Attempts that asked for another one.
    pub retry_per_s: f64,
    /// Attempts on which the guest failed.
    pub fault_per_s: f64,
    /// Processor time of the guests: 1 is one core.
    pub cpu: f64,
    /// From stored to committed, milliseconds: half of the events took at most that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p50_ms: Option<f64>,
    /// The same of 99 in a hundred.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p99_ms: Option<f64>,
}

impl Deployer {
    /// Begins to watch the functions of a store.
    pub fn watcher(&self, store: StoreName) -> Watcher {
        Watcher {
            deployer: self.clone(),
            store,
            seen: BTreeMap::new(),
        }
    }
}

impl Watcher {
    /// Looks. The first look knows no rates.
    ///
    /// # Errors
    /// Those of the bus; there is no such store. Cancel safe.
    pub async fn look(&mut self) -> Result<Loads, ControlError> {
        let land = self.deployer.landscape().await?;
        let Some(lanes) = land.stores.get(&self.store).map(|store| store.lanes) else {
            let what = format!("store {}", self.store);
            return Err(ControlError::Missing { what });
        };
        let reports = self.deployer.reports(&self.store).await?;
        self.take(reports);
        let specs = land.functions.values().map(|entry| &entry.spec);
        let specs = specs.filter(|spec| spec.store == self.store);
        let uncounted = self.seen.values().map(|seen| seen.now.uncounted);
        Ok(Loads {
            at_us: clock::now_us(),
            store: self.store.clone(),
            workers: self.seen.len(),
            uncounted: uncounted.sum(),
            functions: specs.map(|spec| load(spec, lanes, &self.seen)).collect(),
        })
    }

    /// Takes in what the workers say now. Who says nothing any more is gone.
    fn take(&mut self, reports: Vec<WorkerReport>) {
        let mut before = std::mem::take(&mut self.seen);
        for now in reports {
            let seen = match before.remove(&now.name) {
                Some(seen) if seen.now.incarnation != now.incarnation => Seen { before: None, now },
                Some(seen) if seen.now.at_us < now.at_us => Seen {
                    before: Some(seen.now),
                    now,
                },
                Some(seen) => seen,
                None => Seen { before: None, now },
            };
            self.seen.insert(seen.now.name.clone(), seen);
        }
    }
}

fn load(spec: &FunctionSpec, lanes: u16, seen: &BTreeMap<String, Seen>) -> Load {
    let name = &spec.name;
    let now = seen.values().map(|seen| &seen.now);
    let here = now
        .clone()
        .filter_map(|worker| Some((worker, worker.functions.get(name)?)));
    let mut load = Load {
        function: name.clone(),
        version: spec.version,
        trial: trial::trial(spec, now.clone()),
        paused: spec.paused.is_some(),
        lanes: spec.lanes(lanes).len() as u16,
        running: 0,
        lag_events: 0,
        lag_ms: 0,
        parked: 0,
        memory_bytes: 0,
        rates: rates(name, seen),
        total: Work::default(),
        by_lane: Vec::new(),
        broken: now
            .filter_map(|worker| Some((worker.name.clone(), worker.broken.get(name)?.clone())))
            .collect(),
    };
    let mut running = BTreeSet::<Lane>::new();
    for (worker, function) in here {
        load.memory_bytes += function.memory_bytes;
        load.total = load.total.and(&work(Some(function)));
        for lane in &function.lanes {
            load.lag_events += lane.lag_events;
            load.lag_ms = load.lag_ms.max(lane.lag_ms);
            load.parked += lane.parked;
            if lane.halted.is_none() && lane.unread.is_none() {
                running.insert(lane.lane);
            }
            load.by_lane.push(LaneLoad {
                worker: worker.name.clone(),
                lane: lane.clone(),
            });
        }
    }
    load.running = running.len();
    load.by_lane.sort_by_key(|load| load.lane.lane);
    load
}

fn work(function: Option<&FunctionReport>) -> Work {
    let work = function.and_then(|function| function.work.clone());
    work.unwrap_or_default()
}

/// What is done in a second, over all workers that have reported twice.
fn rates(name: &FunctionName, seen: &BTreeMap<String, Seen>) -> Option<Rates> {
    let (mut rates, mut done) = (None, Work::default());
    for Seen { before, now } in seen.values() {
        let Some(before) = before else {
            continue;
        };
        let work = work(now.functions.get(name)).since(&work(before.functions.get(name)));
        let seconds = (now.at_us.saturating_sub(before.at_us)) as f64 / 1e6;
        let rates: &mut Rates = rates.get_or_insert_default();
        let per_s = |count: u64| count as f64 / seconds;
        rates.events_per_s += per_s(work.settled());
        rates.emitted_per_s += per_s(work.emitted);
        rates.ack_per_s += per_s(work.ack);
        rates.drop_per_s += per_s(work.drop);
        rates.reject_per_s += per_s(work.reject + work.dead_letter);
        rates.retry_per_s += per_s(work.retry);
        rates.fault_per_s += per_s(work.fault);
        rates.cpu += per_s(work.cpu_us) / 1e6;
        done = done.and(&work);
    }
    rates.map(|rates| Rates {
        p50_ms: done.latency.quantile_ms(0.5),
        p99_ms: done.latency.quantile_ms(0.99),
        ..rates
    })
}

#[cfg(test)]
mod tests;
