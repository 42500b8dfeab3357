//! One session, whatever carries it.
//!
//! - `state`: the transitions
//! - `commands`: what a command must satisfy
//! - `conduct`: does what the transitions say

pub mod commands;
pub mod conduct;
pub mod state;
