//! What a worker's report says of its functions, as gauges of `/metrics`.
//!
//! Owns which gauges are shown, so that those of what is gone fall to zero. By function
//! and version; the report itself has each lane.

use std::collections::BTreeSet;

use metrics::gauge;
use protocol::name::FunctionName;
use protocol::report::{LaneReport, WorkerReport};

use crate::status::Status;

type Labels = [(&'static str, String); 2];

/// The gauges.
#[derive(Debug, Default)]
pub struct Gauges {
    shown: BTreeSet<(FunctionName, String)>,
    /// Versions that are on trial.
    tried: BTreeSet<(FunctionName, String)>,
}

impl Gauges {
    /// Shows what a report says.
    pub fn show(&mut self, report: &WorkerReport, status: &Status) {
        let (mut now, mut tried) = (BTreeSet::new(), BTreeSet::new());
        for (function, report) in &report.functions {
            let version = status.label(function, report.version);
            set(
                &labels(function, &version),
                &report.lanes,
                report.memory_bytes,
            );
            now.insert((function.clone(), version));
            if let Some(trial) = &report.trial {
                let version = status.label(function, trial.version);
                let runs = trial.failed.is_none();
                gauge!("function_trial", &labels(function, &version)).set(u32::from(runs));
                tried.insert((function.clone(), version));
            }
        }
        for (function, version) in self.tried.difference(&tried) {
            gauge!("function_trial", &labels(function, version)).set(0.0);
        }
        self.tried = tried;
        for (function, version) in self.shown.difference(&now) {
            set(&labels(function, version), &[], 0);
        }
        self.shown = now;
    }
}

fn labels(function: &FunctionName, version: &str) -> Labels {
    [
        ("function", function.to_string()),
        ("version", version.to_owned()),
    ]
}

/// All of them: what owns no lanes and holds no memory is at zero.
fn set(labels: &Labels, lanes: &[LaneReport], memory_bytes: u64) {
    let sum = |of: fn(&LaneReport) -> u64| lanes.iter().map(of).sum::<u64>() as f64;
    let late_ms = lanes.iter().map(|lane| lane.lag_ms).max().unwrap_or(0);
    gauge!("function_lanes", labels).set(lanes.len() as f64);
    gauge!("function_halted", labels).set(sum(|lane| lane.halted.is_some().into()));
    gauge!("function_parked", labels).set(sum(|lane| lane.parked));
    gauge!("function_lag_events", labels).set(sum(|lane| lane.lag_events));
    gauge!("function_lag_seconds", labels).set(late_ms as f64 / 1_000.0);
    gauge!("function_memory_bytes", labels).set(memory_bytes as f64);
}
