//! Seeded simulations: parts of the product over the bus's model, with virtual time,
//! faults and crashes, each run judged by the history checker.
//!
//! - `plan`: a schedule of steps, made from a seed, written and read as text
//! - `run`: carries a schedule out; `shrink`: the shortest one that still fails;
//!   `campaign`: many of them
//! - `world`: the model and what every scenario does to it; `collect`: what the streams
//!   hold as records; `process`: something that can die or stand still at any moment
//! - `scenario`: publisher, feed, lane, mirror, lease; `kafka`: a model of transactions
//!
//! It needs the test-only switches, which a release build has not.

#![cfg(debug_assertions)]

pub mod campaign;
mod collect;
mod kafka;
pub mod plan;
mod process;
pub mod run;
mod scenario;
pub mod shrink;
pub mod world;
