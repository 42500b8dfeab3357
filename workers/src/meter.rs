//! What the lanes of a function do on this worker, counted for both who ask: `/metrics`,
//! by function and version, and the worker's report, by function.
//!
//! Owns the counts of each function for as long as it is deployed here, and the versions
//! that have a label of their own: never a lane, never an instance, of which there are
//! many. It must not know lanes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use metrics::{Counter, Histogram, counter, histogram};
use protocol::name::FunctionName;
use protocol::work::Work;

use crate::lane::tally::Tally;
use crate::trial::Count;

/// Versions of one function that have a label of their own in a worker's life: series of
/// the recorder are never taken back. What is deployed oftener is counted as [`LATER`].
const VERSIONS_MAX: usize = 64;
/// The label of versions beyond those.
const LATER: &str = "later";

/// The counts of every function.
#[derive(Debug, Default)]
pub struct Meters {
    works: BTreeMap<FunctionName, Count>,
    versions: BTreeMap<FunctionName, BTreeSet<u64>>,
}

impl Meters {
    /// The meter of one version of a function; during a trial it counts for that too.
    pub fn of(&mut self, function: &FunctionName, version: u64, trial: Option<Count>) -> Meter {
        let work = self.works.entry(function.clone()).or_default().clone();
        Meter::new(function, self.label(function, version), work, trial)
    }

    /// A lane of a function has taken up another version.
    pub fn swapped(&mut self, function: &FunctionName, version: u64) {
        let label = self.label(function, version);
        counter!("function_swaps_total", "function" => function.to_string(), "version" => label)
            .increment(1);
        let work = self.works.entry(function.clone()).or_default();
        work.lock().swaps += 1;
    }

    /// What a function has done, if it has done anything.
    pub fn work(&self, function: &FunctionName) -> Option<Work> {
        let work = self.works.get(function)?.lock().clone();
        (work != Work::default()).then_some(work)
    }

    /// The function is not deployed here any more.
    pub fn forget(&mut self, function: &FunctionName) {
        self.works.remove(function);
    }

    /// How a version is called in metrics.
    pub fn label(&mut self, function: &FunctionName, version: u64) -> String {
        let known = self.versions.entry(function.clone()).or_default();
        if known.contains(&version) || known.len() < VERSIONS_MAX {
            known.insert(version);
            return version.to_string();
        }
        LATER.to_owned()
    }
}

/// Counts what one version of a function does.
pub struct Meter {
    work: Count,
    trial: Option<Count>,
    outcomes: [Counter; 7],
    emitted: Counter,
    cpu: Counter,
    run: Histogram,
    commit: Histogram,
    latency: Histogram,
}

impl Meter {
    fn new(function: &FunctionName, version: String, work: Count, trial: Option<Count>) -> Self {
        let labels = [("function", function.to_string()), ("version", version)];
        let outcomes = Tally::default().outcomes().map(|(outcome, _)| {
            let [function, version] = labels.clone();
            let labels = [function, version, ("outcome", outcome.to_owned())];
            counter!("function_events_total", &labels)
        });
        Self {
            work,
            trial,
            outcomes,
            emitted: counter!("function_emitted_total", &labels),
            cpu: counter!("function_cpu_microseconds_total", &labels),
            run: histogram!("function_run_seconds", &labels),
            commit: histogram!("function_commit_seconds", &labels),
            latency: histogram!("function_latency_seconds", &labels),
        }
    }

    /// The guest was called: how long that took, with its waits, and how much processor
    /// time the guest has used.
    pub fn ran(&self, took: Duration, cpu: Duration) {
        self.run.record(took);
        let cpu_us = u64::try_from(cpu.as_micros()).unwrap_or(u64::MAX);
        self.cpu.increment(cpu_us);
        for work in self.counts() {
            work.lock().cpu_us += cpu_us;
        }
    }

    /// A commit has ended, well or not: how long it took.
    pub fn committed(&self, took: Duration) {
        self.commit.record(took);
    }

    /// Something is committed of inputs that were stored then; times in microseconds since
    /// 1970.
    pub fn settled(&self, stored_us: &[u64], now_us: u64) {
        if stored_us.is_empty() {
            return;
        }
        let mut work = self.work.lock();
        for stored_us in stored_us {
            let us = now_us.saturating_sub(*stored_us);
            self.latency.record(Duration::from_micros(us));
            work.latency.record(us);
        }
    }

    /// What has become of events.
    pub fn count(&self, tally: &Tally) {
        for (counter, (_, count)) in self.outcomes.iter().zip(tally.outcomes()) {
            counter.increment(count);
        }
        self.emitted.increment(tally.emitted);
        for work in self.counts() {
            let mut work = work.lock();
            work.ack += tally.acked;
            work.drop += tally.dropped;
            work.reject += tally.rejected;
            work.retry += tally.retried;
            work.fault += tally.faulted;
            work.halt += tally.halted;
            work.dead_letter += tally.dead;
            work.emitted += tally.emitted;
        }
    }

    fn counts(&self) -> impl Iterator<Item = &Count> {
        [&self.work].into_iter().chain(&self.trial)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str) -> FunctionName {
        FunctionName::parse(name).unwrap()
    }

    #[test]
    fn versions_beyond_the_bound_share_a_label() {
        let mut meters = Meters::default();
        for version in 1..=VERSIONS_MAX as u64 {
            assert_eq!(meters.label(&name("gate"), version), version.to_string());
        }
        assert_eq!(meters.label(&name("gate"), 1_000), LATER);
        assert_eq!(meters.label(&name("gate"), 1), "1");
        assert_eq!(meters.label(&name("other"), 1_000), "1000");
    }

    #[test]
    fn versions_of_a_function_are_counted_together_until_it_is_withdrawn() {
        let mut meters = Meters::default();
        let gate = name("gate");
        assert_eq!(meters.work(&gate), None);
        let trial = Count::default();
        let (one, two) = (
            meters.of(&gate, 1, None),
            meters.of(&gate, 2, Some(trial.clone())),
        );
        assert_eq!(meters.work(&gate), None, "it has done nothing");
        let tally = Tally {
            acked: 2,
            emitted: 3,
            ..Tally::default()
        };
        one.count(&tally);
        two.count(&tally);
        two.ran(Duration::from_millis(9), Duration::from_millis(4));
        two.settled(&[1_000, 2_000], 3_000);
        meters.swapped(&gate, 2);
        let work = meters.work(&gate).unwrap();
        assert_eq!((work.ack, work.emitted, work.swaps), (4, 6, 1));
        assert_eq!(work.cpu_us, 4_000);
        assert!(work.latency.quantile_ms(1.0).unwrap() <= 2.0);
        let tried = trial.lock().clone();
        assert_eq!((tried.ack, tried.cpu_us), (2, 4_000));
        meters.forget(&gate);
        assert_eq!(meters.work(&gate), None);
    }
}
