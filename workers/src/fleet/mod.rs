//! Which lanes this worker runs, among the workers of its store.
//!
//! - [`share`]: whose a lane is, a pure function of who is there
//! - [`state`]: what to claim, run and give back: the state machine
//! - [`presence`]: writes this worker's report, which keeps it among the living
//! - [`gauges`]: shows the report's figures as metrics
//! - [`hearing`]: follows the reports and the claims of all
//! - [`task`]: drives the machine: claims, runs lanes, gives them up
//! - [`verdict`]: writes how a trial ended that this worker judges
//!
//! An idle lane costs nothing here: a claim is written when its lane changes hands, and
//! one report per worker keeps all of its claims.

mod gauges;
mod hearing;
mod presence;
mod share;
mod state;
mod task;
mod verdict;

pub use task::{Crew, run};
