//! What a lane did since somebody last asked.
//!
//! Owns nothing but counts; whoever drives the lane turns them into metrics.

use host::reply::Handled;

/// Counts. What is handled again counts again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Events acknowledged.
    pub acked: u64,
    /// Events filtered out.
    pub dropped: u64,
    /// Events refused as poison.
    pub rejected: u64,
    /// Attempts that asked for another one.
    pub retried: u64,
    /// Attempts on which the guest failed.
    pub faulted: u64,
    /// Halts.
    pub halted: u64,
    /// Events whose attempts or time were used up, or that were not readable.
    pub dead: u64,
    /// Events emitted.
    pub emitted: u64,
    /// Parked events that retention took before they were settled.
    pub lost: u64,
}

/// The counts of the two versions of a trial; without one there is only the function's own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tallies {
    /// Those of the function as it is deployed.
    pub own: Tally,
    /// Those of the version on trial.
    pub tried: Tally,
}

impl Tallies {
    /// Those of one of the two.
    pub fn of(&mut self, tried: bool) -> &mut Tally {
        match tried {
            true => &mut self.tried,
            false => &mut self.own,
        }
    }
}

impl Tally {
    /// Counts a verdict.
    pub fn count(&mut self, handled: &Handled) {
        match handled {
            Handled::Ack(done) => {
                self.acked += 1;
                self.emitted += done.emits.len() as u64;
            }
            Handled::Drop(_) => self.dropped += 1,
            Handled::Reject(_) => self.rejected += 1,
            Handled::Retry { .. } => self.retried += 1,
            Handled::Halt(_) => self.halted += 1,
            Handled::Fault(_) => self.faulted += 1,
        }
    }

    /// The counts by outcome, as metrics name them.
    pub fn outcomes(&self) -> [(&'static str, u64); 7] {
        [
            ("ack", self.acked),
            ("drop", self.dropped),
            ("reject", self.rejected),
            ("retry", self.retried),
            ("fault", self.faulted),
            ("halt", self.halted),
            ("dead_letter", self.dead),
        ]
    }
}
