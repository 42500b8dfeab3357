//! The further stages of a function that is a pipeline: modules that an event passes one
//! after the other, in one run, committed once.
//!
//! Owns nothing. Must not know how modules are run.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::checkpoint::Digest;
use crate::name::FunctionName;

/// Most stages of a pipeline, the first one included: an event may take a deadline in
/// each before others get their turn on the thread.
pub const STAGES_MAX: usize = 8;

/// A stage behind the first. Grants, limits and isolation are those of the function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// Its name within the function: what it remembers of a channel is kept under it, so
    /// that a stage may move to another place and keep what it knows.
    pub name: FunctionName,
    /// Its module.
    pub digest: Digest,
    /// Settings handed to it at its start.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub config: BTreeMap<String, String>,
}

/// Checks how many stages there are and how they are called.
///
/// # Errors
/// What is wrong.
pub(super) fn check(stages: &[Stage]) -> Result<(), String> {
    if stages.len() >= STAGES_MAX {
        let found = stages.len() + 1;
        return Err(format!("{found} stages, at most {STAGES_MAX} are allowed"));
    }
    for (at, stage) in stages.iter().enumerate() {
        if stages[..at].iter().any(|other| other.name == stage.name) {
            return Err(format!("two stages are called {}", stage.name));
        }
    }
    Ok(())
}
