//! Golden tests: recorded events through the real host, and what each of them became
//! when somebody last looked.
//!
//! - [`record`]: one recorded event with its golden outcome, as JSON
//! - [`mod@file`]: the files of `tests/golden`
//! - [`Runner`]: records through the host, one event at a time, in order
//! - [`diff`]: what is different, line by line
//!
//! Owns the files of that folder. Time and randomness are fixed: an event's time is
//! what its record says, and the host grants nothing else.

pub mod diff;
pub mod file;
pub mod record;
mod run;

pub use run::{RunError, Runner};
