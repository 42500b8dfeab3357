//! The trials that this worker judges: those of the functions whose first lane it runs.
//!
//! Owns what all workers say of trials, and which judgements are being written. Two
//! workers that both hold the first lane for a moment both judge: the first to write it
//! wins, and a trial is judged once. It never awaits, and knows neither NATS nor clocks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use protocol::name::FunctionName;
use protocol::report::{TrialReport, WorkerReport};
use protocol::spec::{FunctionSpec, Judgement};

use super::judge::{Figures, judge};

/// The trials, and what is said of them.
#[derive(Debug, Default)]
pub struct Jury {
    /// Specs with a trial.
    trials: BTreeMap<FunctionName, Arc<FunctionSpec>>,
    /// What each worker says, by its name. Who has died is believed what it said last.
    reports: BTreeMap<String, BTreeMap<FunctionName, TrialReport>>,
    /// Those whose judgement is being written, or is and was not heard of yet.
    judged: BTreeSet<(FunctionName, u64)>,
}

impl Jury {
    /// A function runs like this from now on.
    pub fn runs(&mut self, spec: &Arc<FunctionSpec>) {
        match &spec.canary {
            Some(_) => drop(self.trials.insert(spec.name.clone(), spec.clone())),
            None => self.gone(&spec.name),
        }
    }

    /// A function has no trial here any more.
    pub fn gone(&mut self, name: &FunctionName) {
        self.trials.remove(name);
        self.judged.retain(|(judged, _)| judged != name);
        for trials in self.reports.values_mut() {
            trials.remove(name);
        }
    }

    /// What a worker says.
    pub fn heard(&mut self, report: &WorkerReport) {
        let functions = report.functions.iter();
        let trials = functions.filter_map(|(name, function)| {
            let trial = function.trial.clone()?;
            self.trials
                .contains_key(name)
                .then(|| (name.clone(), trial))
        });
        let trials: BTreeMap<_, _> = trials.collect();
        if trials.is_empty() {
            self.reports.remove(&report.name);
        } else {
            self.reports.insert(report.name.clone(), trials);
        }
    }

    /// Judgements that are due, each once. `first` says of which functions this worker
    /// runs the first lane.
    pub fn next(
        &mut self,
        now_us: u64,
        first: impl Fn(&FunctionName) -> bool,
    ) -> Vec<(FunctionName, Judgement)> {
        let mut due = Vec::new();
        for (name, spec) in &self.trials {
            let Some(canary) = spec.canary.as_ref().filter(|_| first(name)) else {
                continue;
            };
            let version = canary.candidate.version;
            let key = (name.clone(), version);
            if self.judged.contains(&key) {
                continue;
            }
            let figures = figures(&self.reports, name, version);
            let Some((verdict, reason)) = judge(canary, spec.version, &figures, now_us) else {
                continue;
            };
            self.judged.insert(key);
            let judgement = Judgement {
                version,
                beside: spec.version,
                verdict,
                reason,
                by: String::new(),
                at_us: now_us,
                candidate: figures.candidate,
                other: figures.other,
            };
            due.push((name.clone(), judgement));
        }
        due
    }

    /// A judgement could not be written: it is made again.
    pub fn unwritten(&mut self, name: &FunctionName, version: u64) {
        self.judged.remove(&(name.clone(), version));
    }
}

/// What all workers say of a version on trial, together.
fn figures(
    reports: &BTreeMap<String, BTreeMap<FunctionName, TrialReport>>,
    name: &FunctionName,
    version: u64,
) -> Figures {
    let mut figures = Figures::default();
    for (worker, trials) in reports {
        let Some(trial) = trials.get(name).filter(|trial| trial.version == version) else {
            continue;
        };
        figures.candidate = figures.candidate.and(&trial.candidate);
        figures.other = figures.other.and(&trial.other);
        if let (None, Some(reason)) = (&figures.failed, &trial.failed) {
            figures.failed = Some(format!("on {worker}: {reason}"));
        }
    }
    figures
}

#[cfg(test)]
mod tests {
    use protocol::checkpoint::Digest;
    use protocol::name::StoreName;
    use protocol::report::FunctionReport;
    use protocol::spec::{Canary, Trigger, Verdict};
    use protocol::work::Work;

    use super::*;

    fn name() -> FunctionName {
        FunctionName::parse("gate").unwrap()
    }

    fn spec(candidate: u64) -> Arc<FunctionSpec> {
        let store = StoreName::parse("main").unwrap();
        let base = FunctionSpec::new(name(), Digest::from_bytes([1; 32]), store, Trigger::Gate);
        let canary = Canary {
            permille: 50,
            candidate: Box::new(FunctionSpec {
                version: candidate,
                ..base.clone()
            }),
            events_min: 10,
            for_ms: 1,
        };
        Arc::new(FunctionSpec {
            canary: Some(canary),
            ..base
        })
    }

    /// What a worker says of a version that has handled so many events.
    fn report(worker: &str, version: u64, events: u64, failed: Option<&str>) -> WorkerReport {
        let work = Work {
            ack: events,
            ..Work::default()
        };
        let function = FunctionReport {
            digest: Digest::from_bytes([1; 32]),
            revision: 1,
            version: 1,
            lanes: Vec::new(),
            memory_bytes: 0,
            work: None,
            trial: Some(TrialReport {
                version,
                failed: failed.map(str::to_owned),
                candidate: work.clone(),
                other: work,
            }),
        };
        WorkerReport {
            name: worker.into(),
            incarnation: 1,
            version: "1".into(),
            store: StoreName::parse("main").unwrap(),
            at_us: 0,
            functions: [(name(), function)].into(),
            broken: BTreeMap::new(),
            uncounted: 0,
        }
    }

    #[test]
    fn the_figures_of_all_workers_are_judged_once_and_by_who_has_the_first_lane() {
        let mut jury = Jury::default();
        jury.runs(&spec(2));
        jury.heard(&report("a", 2, 4, None));
        jury.heard(&report("b", 1, 99, Some("of a trial before")));
        assert!(jury.next(9_000, |_| true).is_empty(), "it has had 4 events");
        jury.heard(&report("b", 2, 7, None));
        assert!(jury.next(9_000, |_| false).is_empty());
        let (of, judgement) = jury.next(9_000, |_| true).remove(0);
        assert_eq!((of, judgement.version, judgement.beside), (name(), 2, 1));
        assert_eq!(judgement.verdict, Verdict::Promoted);
        assert_eq!(judgement.candidate.ack, 11);
        assert!(jury.next(9_000, |_| true).is_empty(), "it is being written");
        jury.unwritten(&name(), 2);
        assert_eq!(jury.next(9_000, |_| true).len(), 1);
    }

    #[test]
    fn one_worker_on_which_it_fails_is_enough() {
        let mut jury = Jury::default();
        jury.runs(&spec(2));
        jury.heard(&report("a", 2, 1, None));
        jury.heard(&report("b", 2, 0, Some("it does not start")));
        let (_, judgement) = jury.next(0, |_| true).remove(0);
        assert_eq!(judgement.verdict, Verdict::RolledBack);
        assert_eq!(judgement.reason, "on b: it does not start");
        // The next trial begins without what was said of the one before.
        jury.runs(&Arc::new(spec(2).without_canary()));
        jury.runs(&spec(3));
        assert!(jury.next(0, |_| true).is_empty());
    }
}
