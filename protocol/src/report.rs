//! What a worker says of itself in `WORKERS`, and whose a lane is in `LANES`. JSON.
//!
//! A report is a heartbeat too: whoever has not written one for the bucket's
//! time-to-live counts as dead. What it says is for people and for sharing lanes out;
//! what keeps a lane exact is the guard of each commit.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::checkpoint::Digest;
use crate::lane::Lane;
use crate::name::{FunctionName, StoreName};
use crate::work::Work;

/// Longest reason in a report, bytes: reports of thousands of lanes stay far below
/// what NATS takes in one message.
pub const REASON_BYTES_MAX: usize = 200;
/// Most functions whose work stands in a report, for the same: some 300 bytes each. Of the
/// others it says how many they are.
pub const WORKS_MAX: usize = 256;
/// Most trials of a store at a time, for the same: each has the work of two versions.
pub const TRIALS_MAX: usize = 64;

/// One worker, as it is now. Key `{store}.{name}` in `WORKERS`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerReport {
    /// How it calls itself.
    pub name: String,
    /// Drawn anew at each start of the process: whoever has the same name and another
    /// number has taken its place.
    pub incarnation: u64,
    /// The version of its program.
    pub version: String,
    /// The store whose functions it runs.
    pub store: StoreName,
    /// When it said so, microseconds since 1970 by its own clock; 0: not said.
    #[serde(default)]
    pub at_us: u64,
    /// The functions that it has compiled and runs on whichever lanes are its own.
    #[serde(default)]
    pub functions: BTreeMap<FunctionName, FunctionReport>,
    /// Functions of which it does not run what is deployed, and why. One that it runs
    /// as it was deployed before stands in `functions` too.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub broken: BTreeMap<FunctionName, String>,
    /// Functions that have done something for which there was no room.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub uncounted: u64,
}

/// A function on one worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionReport {
    /// The module that is compiled.
    pub digest: Digest,
    /// The revision of the spec in `FUNCTIONS` that it comes from.
    pub revision: u64,
    /// That spec's version; 0: not said.
    #[serde(default)]
    pub version: u64,
    /// The lanes that this worker owns.
    #[serde(default)]
    pub lanes: Vec<LaneReport>,
    /// Linear memory that its instances have taken, bytes.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub memory_bytes: u64,
    /// What it has done here since the worker started, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub work: Option<Work>,
    /// The version that is on trial, once it is compiled here or is known not to run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial: Option<TrialReport>,
}

/// A trial on one worker, since it has begun there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrialReport {
    /// The version that is on trial.
    pub version: u64,
    /// Why it does not run here, or not any more: the version beside it has its channels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
    /// What it has done.
    #[serde(default)]
    pub candidate: Work,
    /// What the version beside it has done on the other channels.
    #[serde(default)]
    pub other: Work,
}

/// A lane that a worker owns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneReport {
    /// Which.
    pub lane: Lane,
    /// The revision of the spec that the lane runs: a new one is taken up between two
    /// batches.
    pub revision: u64,
    /// Events of the lane behind its position.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lag_events: u64,
    /// Age of the oldest input that is not settled, milliseconds.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lag_ms: u64,
    /// Channels that wait for another attempt.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub parked: u64,
    /// Why it stands still until its spec changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub halted: Option<String>,
    /// What retention has taken before it was handled, as far as is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<String>,
    /// Why nothing is read of it for now: a stream that has as many consumers as it takes,
    /// say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unread: Option<String>,
}

impl LaneReport {
    /// A lane that runs this revision, with nothing behind it.
    pub fn new(lane: Lane, revision: u64) -> Self {
        Self {
            lane,
            revision,
            lag_events: 0,
            lag_ms: 0,
            parked: 0,
            halted: None,
            lost: None,
            unread: None,
        }
    }
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Who owns a lane. Key: see [`claim_key`], in `LANES`. Written when the owner changes
/// and at no other time; it holds for as long as the owner's own report does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneClaim {
    /// The worker.
    pub worker: String,
    /// Which life of it.
    pub incarnation: u64,
}

/// The key of a worker's report.
pub fn worker_key(store: &StoreName, name: &str) -> String {
    format!("{store}.{name}")
}

/// The key of a lane's claim.
pub fn claim_key(store: &StoreName, function: &FunctionName, lane: Lane) -> String {
    format!("{store}.{function}.{lane}")
}

/// Reads a lane's key: its function and lane if it is one of this store's.
pub fn parse_claim_key(store: &StoreName, key: &str) -> Option<(FunctionName, Lane)> {
    let rest = key.strip_prefix(store.as_str())?.strip_prefix('.')?;
    let (function, lane) = rest.split_once('.')?;
    let lane = Lane(lane.parse().ok()?);
    Some((FunctionName::parse(function).ok()?, lane))
}

/// A reason, short enough for a report.
pub fn short_reason(reason: &str) -> String {
    let end = (0..=REASON_BYTES_MAX.min(reason.len()))
        .rev()
        .find(|at| reason.is_char_boundary(*at));
    reason[..end.unwrap_or_default()].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claims_key_names_its_lane_and_no_other_stores() {
        let store = StoreName::parse("main").unwrap();
        let function = FunctionName::parse("document-gate").unwrap();
        let key = claim_key(&store, &function, Lane(12));
        assert_eq!(parse_claim_key(&store, &key), Some((function, Lane(12))));
        let other = StoreName::parse("mai").unwrap();
        assert_eq!(parse_claim_key(&other, &key), None);
        for key in ["main.gate", "main.gate.x", "gate.1", "main..1"] {
            assert_eq!(parse_claim_key(&store, key), None, "{key}");
        }
    }

    #[test]
    fn reasons_are_cut_between_characters() {
        assert_eq!(short_reason("gone"), "gone");
        let long = "ä".repeat(REASON_BYTES_MAX);
        assert_eq!(short_reason(&long).len(), REASON_BYTES_MAX);
        let odd = format!("x{long}");
        assert_eq!(short_reason(&odd).len(), REASON_BYTES_MAX - 1);
    }

    #[test]
    fn a_report_says_only_what_is_not_usual() {
        let lane = LaneReport {
            lane: Lane(3),
            revision: 7,
            lag_events: 0,
            lag_ms: 0,
            parked: 0,
            halted: None,
            lost: None,
            unread: None,
        };
        let json = serde_json::to_string(&lane).unwrap();
        assert_eq!(json, r#"{"lane":3,"revision":7}"#);
        assert_eq!(serde_json::from_str::<LaneReport>(&json).unwrap(), lane);
    }
}
