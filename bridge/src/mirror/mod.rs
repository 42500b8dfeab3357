//! The mirror: every event of a stream once into Kafka, per-channel order kept.
//!
//! - `relay`: when to write and when to commit; pure
//! - `routing`: where a record goes; `topics`: which topics are written, and what the
//!   others miss; both pure
//! - `survey`: looking at topics
//! - `writer`: the thread with the transactional producer
//! - `start`, `run`, `end`: start order, loop and end of one run of a shard
//! - `shard`: what a shard needs; `owner`, `tenure`: who works on it
//! - `progress`, `allocation`: the progress record and its partition

pub(crate) mod allocation;
mod end;
mod look;
pub(crate) mod owner;
pub(crate) mod progress;
pub mod relay;
mod routing;
mod run;
pub(crate) mod shard;
mod start;
mod survey;
mod tenure;
mod topics;
mod writer;
