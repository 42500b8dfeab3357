//! One function on one lane: what it has settled, what it stores, who may do so.
//!
//! [`state`] decides, without awaiting; [`run`] drives it; [`commit`] stores what was
//! decided; [`takeover`] begins where the owner before ended; [`owner`] is one ownership
//! from grant to end; [`beside`] is a lane's half of a trial.

pub mod beside;
pub mod commit;
mod driven;
pub mod grant;
pub mod guard;
pub mod kept;
pub mod memory;
pub mod messages;
pub mod owner;
pub mod progress;
pub mod quiet;
pub mod range;
pub mod recall;
pub mod retry;
pub mod run;
pub mod shared;
pub mod slot;
pub mod staging;
pub mod state;
pub mod takeover;
pub mod tally;
pub mod ticks;
pub mod time;
pub mod verdict;
pub mod version;

#[cfg(test)]
pub(crate) mod tests;
