//! Ticks: what a function on a schedule is handed, and how far its lane has come.
//!
//! Pure; owns nothing.

use serde::{Deserialize, Serialize};

use crate::name::FunctionName;

/// Data of a tick, JSON. Its event's time is when it was due, too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tick {
    /// When it was due, seconds since 1970.
    pub due: u64,
    /// Its number among the ticks that were made, from 1, without holes; it begins anew
    /// when the function does.
    pub n: u64,
    /// How many that were due since the one before it were left out.
    pub missed: u64,
}

impl Tick {
    /// The id of its event: however often it is tried to be stored, the same.
    pub fn id(&self, function: &FunctionName) -> String {
        format!("{function}/tick/{}", self.due)
    }
}

/// How far a schedule has come: part of the checkpoint of the lane of its ticks, and so
/// committed with them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticked {
    /// Every tick that was due up to here is stored or left out, seconds since 1970.
    pub until: u64,
    /// The number of the last that is stored; 0: none yet.
    pub n: u64,
    /// How many were left out since then.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub missed: u64,
    /// The times of which that is true. Other times begin where they are first seen.
    pub times: String,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}
