//! One session, whatever carries it.
//!
//! - `state`: the transitions
//! - `commands`: what a command must satisfy
//! - `pages`: what one that reads what is stored must
//! - `ephemeral`: what one of an ephemeral event must
//! - `presence`: what a subscription needs where its channel tells who is on it
//! - `credit`, `ticket`: what those must satisfy
//! - `conduct`: does what the transitions say

pub mod commands;
pub mod conduct;
mod credit;
pub mod ephemeral;
pub mod pages;
pub mod presence;
pub mod state;
mod ticket;
