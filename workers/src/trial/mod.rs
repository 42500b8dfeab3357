//! A version on trial, as one worker runs it beside the version that has the other
//! channels.
//!
//! - [`split`]: a batch by version, and the answers together again
//! - [`judge`]: what becomes of the candidate: a pure decision
//! - [`jury`]: whose trial this worker judges, and by what figures
//!
//! Owns what is counted of a trial on this worker, and whether the candidate has failed
//! here; lanes write both. It must not know lanes.

pub mod judge;
pub mod jury;
pub mod split;

use std::sync::{Arc, OnceLock};

use host::module::Program;
use parking_lot::Mutex;
use protocol::report::{TrialReport, short_reason};
use protocol::work::Work;

/// Counts of one version during a trial.
pub type Count = Arc<Mutex<Work>>;

/// A trial on this worker. Once it has failed here the version beside it has all channels,
/// until the judgement says the same everywhere.
#[derive(Debug)]
pub struct Trial {
    /// The version that is on trial.
    pub version: u64,
    program: Option<Arc<Program>>,
    failed: OnceLock<String>,
    /// What the candidate does.
    pub candidate: Count,
    /// What the version beside it does on the other channels.
    pub other: Count,
}

impl Trial {
    /// A candidate that is compiled.
    pub fn of(program: Arc<Program>) -> Self {
        Self::new(program.spec.version, Some(program))
    }

    /// One that cannot be, for this reason.
    pub fn broken(version: u64, reason: &str) -> Self {
        let trial = Self::new(version, None);
        trial.fail(reason);
        trial
    }

    fn new(version: u64, program: Option<Arc<Program>>) -> Self {
        Self {
            version,
            program,
            failed: OnceLock::new(),
            candidate: Count::default(),
            other: Count::default(),
        }
    }

    /// The candidate, unless it has failed here.
    pub fn program(&self) -> Option<&Arc<Program>> {
        let program = self.program.as_ref();
        program.filter(|_| self.failed.get().is_none())
    }

    /// The candidate has failed, for this reason; false if it had before.
    pub fn fail(&self, reason: &str) -> bool {
        self.failed.set(short_reason(reason)).is_ok()
    }

    /// What the worker says of it.
    pub fn report(&self) -> TrialReport {
        TrialReport {
            version: self.version,
            failed: self.failed.get().cloned(),
            candidate: self.candidate.lock().clone(),
            other: self.other.lock().clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_failed_first_is_told() {
        let trial = Trial::broken(7, "no such import");
        assert!(!trial.fail("later"));
        let report = trial.report();
        assert_eq!(report.failed.as_deref(), Some("no such import"));
        assert_eq!(report.version, 7);
        assert!(trial.program().is_none());
    }
}
