//! Writes this worker's report: every third of its time-to-live, and soon after
//! something changes that others should hear of.
//!
//! Owns the report's entry in `WORKERS`. A report that is stored is told on, with the
//! time at which it was sent: from then on others let this worker live for so long.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bus::{BusError, Kv};
use protocol::name::{FunctionName, StoreName};
use protocol::report::{FunctionReport, LaneClaim, WORKS_MAX, WorkerReport, worker_key};
use service::clock::now_us;
use service::shutdown::Shutdown;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use super::gauges::Gauges;
use crate::status::Status;

/// A report is written again when this part of its time-to-live has passed, so that two
/// may fail.
const REPORT_PART: u32 = 3;
/// Least time between two reports: hundreds of lanes that change hands are few reports.
const REPORT_PAUSE: Duration = Duration::from_millis(250);
/// Used for a bucket whose entries do not end.
const TTL_FALLBACK: Duration = Duration::from_secs(5);
/// How long taking the report back may take; it ends by itself otherwise.
const FAREWELL: Duration = Duration::from_secs(1);

/// How long a report of this bucket lasts.
pub fn ttl(workers: &Kv) -> Duration {
    match workers.max_age() {
        Duration::ZERO => TTL_FALLBACK,
        age => age,
    }
}

/// What reports are made of.
pub struct Presence {
    /// The bucket of reports.
    pub workers: Kv,
    /// Whose they are.
    pub life: LaneClaim,
    /// The worker's store.
    pub store: StoreName,
    /// What the worker shows.
    pub status: Arc<Status>,
    /// Once triggered, the reports name no function any more.
    pub leaving: Shutdown,
}

impl Presence {
    fn report(&self) -> WorkerReport {
        let now = now_us();
        let (mut functions, broken) = if self.leaving.is_triggered() {
            (BTreeMap::new(), BTreeMap::new())
        } else {
            (self.status.functions(now), self.status.broken())
        };
        let uncounted = bound(&mut functions);
        WorkerReport {
            name: self.life.worker.clone(),
            incarnation: self.life.incarnation,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            store: self.store.clone(),
            at_us: now,
            functions,
            broken,
            uncounted,
        }
    }

    /// Reports until `stop`, then takes the report back. `alive` says when the newest
    /// report that was stored had been sent.
    pub async fn run(self, alive: watch::Sender<Option<Instant>>, stop: Shutdown) {
        let key = worker_key(&self.store, &self.life.worker);
        let ttl = ttl(&self.workers);
        let mut changes = self.status.changes();
        let (mut revision, mut gauges) = (None, Gauges::default());
        loop {
            changes.mark_unchanged();
            let sent = Instant::now();
            let report = self.report();
            gauges.show(&report, &self.status);
            let report =
                serde_json::to_vec(&report).expect("a report has only names, texts and numbers");
            let stored = timeout(ttl / REPORT_PART, self.workers.put(&key, report.into())).await;
            match stored.unwrap_or(Err(BusError::Timeout)) {
                Ok(stored) => {
                    revision = Some(stored);
                    alive.send_replace(Some(sent));
                }
                Err(error) => {
                    metrics::counter!("worker_reports_failed_total").increment(1);
                    tracing::debug!(%error, "the worker's report is not stored");
                }
            }
            // All branches are cancel safe: they only wait.
            tokio::select! {
                () = stop.triggered() => break,
                () = sleep_until(sent + REPORT_PAUSE) => {}
            }
            tokio::select! {
                () = stop.triggered() => break,
                () = sleep_until(sent + ttl / REPORT_PART) => {}
                _ = changes.changed() => {}
                () = self.leaving.triggered(), if !self.leaving.is_triggered() => {}
            }
        }
        if let Some(revision) = revision {
            // Best effort: it ends by itself.
            let _ = timeout(FAREWELL, self.workers.delete(&key, revision)).await;
        }
    }
}

/// Leaves work out that a report has no room for; of how many functions.
fn bound(functions: &mut BTreeMap<FunctionName, FunctionReport>) -> u64 {
    let works = functions.values_mut().map(|function| &mut function.work);
    let more = works.filter(|work| work.is_some()).skip(WORKS_MAX);
    more.map(|work| *work = None).count() as u64
}

#[cfg(test)]
mod tests {
    use protocol::checkpoint::Digest;
    use protocol::work::Work;

    use super::*;

    fn functions(count: usize) -> BTreeMap<FunctionName, FunctionReport> {
        let report = FunctionReport {
            digest: Digest::from_bytes([1; 32]),
            revision: 1,
            version: 1,
            lanes: Vec::new(),
            memory_bytes: 0,
            work: Some(Work::default()),
            trial: None,
        };
        let name = |n: usize| FunctionName::parse(&format!("f{n:04}")).unwrap();
        (0..count).map(|n| (name(n), report.clone())).collect()
    }

    #[test]
    fn the_work_of_more_functions_than_fit_is_left_out_and_counted() {
        let told = |functions: &BTreeMap<_, FunctionReport>| {
            let told = functions.values().filter(|of| of.work.is_some());
            told.count()
        };
        let mut fits = functions(WORKS_MAX);
        assert_eq!((bound(&mut fits), told(&fits)), (0, WORKS_MAX));
        let mut more = functions(WORKS_MAX + 3);
        assert_eq!((bound(&mut more), told(&more)), (3, WORKS_MAX));
        assert_eq!(more.len(), WORKS_MAX + 3, "they are reported all the same");
    }
}
