//! Whether what was deployed runs on every lane, as the workers say of themselves.
//!
//! Owns nothing: a judgement of their reports, made again until it is good or time is up.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use bus::BusError;
use protocol::lane::Lane;
use protocol::name::StoreName;
use protocol::report::{FunctionReport, LaneReport, WorkerReport, worker_key};
use protocol::spec::FunctionSpec;
use protocol::stream::Bucket;
use serde::Serialize;
use tokio::time::{Instant, sleep};

use crate::deployer::Deployer;
use crate::error::ControlError;

/// How often the reports are read: workers write theirs at most twice as often.
const INTERVAL: Duration = Duration::from_millis(200);

/// How far a deployment has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Rollout {
    /// Lanes that run it.
    pub running: u16,
    /// Lanes that it is to run on.
    pub lanes: u16,
    /// Why others do not, and which.
    pub waiting: BTreeMap<String, Vec<u16>>,
}

impl Rollout {
    /// Whether every lane runs it.
    pub fn is_done(&self) -> bool {
        self.running == self.lanes
    }
}

impl Deployer {
    /// Waits until every lane runs a function as it is deployed, or time is up; then it
    /// says how far it has come. `revision` is that of its spec. What is paused runs
    /// nowhere, and is not waited for.
    ///
    /// # Errors
    /// Those of the bus. Cancel safe.
    pub async fn rollout(
        &self,
        spec: &FunctionSpec,
        revision: u64,
        timeout: Duration,
    ) -> Result<Rollout, ControlError> {
        let land = self.landscape().await?;
        let lanes = land.stores.get(&spec.store).map_or(0, |store| store.lanes);
        let lanes = spec.lanes(lanes);
        if spec.paused.is_some() {
            return Ok(Rollout::default());
        }
        let until = Instant::now() + timeout;
        loop {
            let reports = self.reports(&spec.store).await?;
            let rollout = judge(spec, revision, lanes.clone(), &reports);
            if rollout.is_done() || Instant::now() >= until {
                return Ok(rollout);
            }
            sleep(INTERVAL).await;
        }
    }

    /// What the workers of a store say.
    ///
    /// # Errors
    /// Those of the bus. Cancel safe.
    pub async fn reports(&self, store: &StoreName) -> Result<Vec<WorkerReport>, BusError> {
        let entries = self.bus.kv(Bucket::Workers).await?.entries().await?;
        let prefix = worker_key(store, "");
        let ours = entries.iter().filter(|(key, ..)| key.starts_with(&prefix));
        let read = ours.filter_map(|(key, json, _)| {
            let report = serde_json::from_slice(json);
            let told = report.inspect_err(|error| tracing::warn!(key, %error, "no report"));
            told.ok()
        });
        Ok(read.collect())
    }
}

/// Judges how far it has come.
fn judge(
    spec: &FunctionSpec,
    revision: u64,
    lanes: Range<u16>,
    reports: &[WorkerReport],
) -> Rollout {
    let mut rollout = Rollout {
        lanes: lanes.end.saturating_sub(lanes.start),
        ..Rollout::default()
    };
    for lane in lanes {
        match obstacle(spec, revision, Lane(lane), reports) {
            None => rollout.running += 1,
            Some(reason) => rollout.waiting.entry(reason).or_default().push(lane),
        }
    }
    rollout
}

/// Why a lane does not run it; `None` if it does.
fn obstacle(
    spec: &FunctionSpec,
    revision: u64,
    lane: Lane,
    reports: &[WorkerReport],
) -> Option<String> {
    let name = &spec.name;
    let of = |report: &'_ WorkerReport| -> Option<LaneReport> {
        let function: &FunctionReport = report.functions.get(name)?;
        let mut owned = function.lanes.iter();
        owned.find(|owned| owned.lane == lane).cloned()
    };
    let owned = reports
        .iter()
        .find_map(|report| Some((report, of(report)?)));
    let broken = |report: &WorkerReport| report.broken.get(name).cloned();
    let Some((owner, owned)) = owned else {
        let unable = reports
            .iter()
            .find_map(|report| Some((report, broken(report)?)));
        return Some(match unable {
            _ if reports.is_empty() => "no worker of its store is there".to_owned(),
            Some((worker, reason)) => format!("{} cannot run it: {reason}", worker.name),
            None => "no worker has taken it over yet".to_owned(),
        });
    };
    let worker = &owner.name;
    if owned.revision < revision {
        return Some(match broken(owner) {
            Some(reason) => format!("{worker} runs what was deployed before: {reason}"),
            None => format!("{worker} has not taken it up yet"),
        });
    }
    if let Some(reason) = owned.halted {
        return Some(format!("it is halted on {worker}: {reason}"));
    }
    if let Some(reason) = owned.unread {
        return Some(format!("{worker} cannot read it for now: {reason}"));
    }
    // What is newer has ended the trial.
    let canary = spec
        .canary
        .as_ref()
        .filter(|_| owned.revision == revision)?;
    let trial = owner.functions.get(name).and_then(|of| of.trial.as_ref());
    let version = canary.candidate.version;
    let begun = trial.is_some_and(|trial| trial.version == version);
    (!begun).then(|| format!("{worker} has not compiled version {version} yet"))
}

#[cfg(test)]
mod tests {
    use protocol::checkpoint::Digest;
    use protocol::name::FunctionName;
    use protocol::report::TrialReport;
    use protocol::spec::{Canary, Trigger};
    use protocol::work::Work;

    use super::*;

    fn name() -> FunctionName {
        FunctionName::parse("gate").unwrap()
    }

    /// A worker with these lanes and the revision that each runs.
    fn worker(named: &str, lanes: &[(u16, u64)]) -> WorkerReport {
        let lane = |&(lane, revision): &(u16, u64)| LaneReport::new(Lane(lane), revision);
        let function = FunctionReport {
            digest: Digest::from_bytes([1; 32]),
            revision: 9,
            version: 1,
            lanes: lanes.iter().map(lane).collect(),
            memory_bytes: 0,
            work: None,
            trial: None,
        };
        WorkerReport {
            name: named.into(),
            incarnation: 1,
            version: "1".into(),
            store: StoreName::parse("main").unwrap(),
            at_us: 0,
            functions: [(name(), function)].into(),
            broken: BTreeMap::new(),
            uncounted: 0,
        }
    }

    fn told(reports: &[WorkerReport]) -> Vec<(String, Vec<u16>)> {
        let store = StoreName::parse("main").unwrap();
        let spec = FunctionSpec::new(name(), Digest::from_bytes([1; 32]), store, Trigger::Gate);
        told_of(&spec, reports)
    }

    fn told_of(spec: &FunctionSpec, reports: &[WorkerReport]) -> Vec<(String, Vec<u16>)> {
        let rollout = judge(spec, 7, 0..4, reports);
        assert_eq!(rollout.is_done(), rollout.waiting.is_empty());
        rollout.waiting.into_iter().collect()
    }

    #[test]
    fn it_is_done_when_every_lane_runs_it_or_something_newer() {
        let all = [
            worker("a", &[(0, 7), (1, 8)]),
            worker("b", &[(2, 7), (3, 7)]),
        ];
        assert_eq!(told(&all), []);
    }

    #[test]
    fn what_a_lane_waits_for_is_said() {
        let none = "no worker of its store is there".to_owned();
        assert_eq!(told(&[]), [(none, vec![0, 1, 2, 3])]);
        let mut late = worker("a", &[(0, 6), (1, 7), (2, 7)]);
        let open = "no worker has taken it over yet".to_owned();
        let slow = "a has not taken it up yet".to_owned();
        assert_eq!(
            told(std::slice::from_ref(&late)),
            [(slow, vec![0]), (open, vec![3])]
        );
        late.broken.insert(name(), "no such import".into());
        let stays = "a runs what was deployed before: no such import".to_owned();
        let unable = "a cannot run it: no such import".to_owned();
        assert_eq!(
            told(std::slice::from_ref(&late)),
            [(unable, vec![3]), (stays, vec![0])]
        );
        let lane = &mut late.functions.get_mut(&name()).unwrap().lanes[1];
        lane.halted = Some("no schema".into());
        let halted = "it is halted on a: no schema".to_owned();
        assert!(told(std::slice::from_ref(&late)).contains(&(halted, vec![1])));
        let lane = &mut late.functions.get_mut(&name()).unwrap().lanes[2];
        lane.unread = Some("maximum consumers limit reached".into());
        let unread = "a cannot read it for now: maximum consumers limit reached".to_owned();
        assert!(told(&[late]).contains(&(unread, vec![2])));
    }

    #[test]
    fn a_trial_has_begun_when_its_version_is_compiled_or_known_not_to_run() {
        let store = StoreName::parse("main").unwrap();
        let base = FunctionSpec::new(name(), Digest::from_bytes([1; 32]), store, Trigger::Gate);
        let spec = FunctionSpec {
            canary: Some(Canary {
                permille: 50,
                candidate: Box::new(FunctionSpec {
                    version: 2,
                    ..base.clone()
                }),
                events_min: 1,
                for_ms: 1,
            }),
            ..base
        };
        let mut all = worker("a", &[(0, 7), (1, 7), (2, 8), (3, 8)]);
        let waits = "a has not compiled version 2 yet".to_owned();
        let told = told_of(&spec, std::slice::from_ref(&all));
        assert_eq!(told, [(waits, vec![0, 1])], "what is newer has none");
        let trial = TrialReport {
            version: 2,
            failed: Some("no such import".into()),
            candidate: Work::default(),
            other: Work::default(),
        };
        all.functions.get_mut(&name()).unwrap().trial = Some(trial);
        assert_eq!(told_of(&spec, &[all]), []);
    }
}
