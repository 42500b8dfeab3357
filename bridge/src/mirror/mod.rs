//! The mirror: every event of a stream once into Kafka, per-channel order kept.
//!
//! - `relay`: when to write and when to commit; pure
//! - `routing`, `topics`: where a record goes
//! - `writer`: the thread with the transactional producer
//! - `session`: start order and loop of one owner
//! - `shard`, `tenure`: who is the owner
//! - `progress`, `allocation`: the progress record and its partition

pub(crate) mod allocation;
pub(crate) mod progress;
mod relay;
mod routing;
mod session;
pub(crate) mod shard;
mod tenure;
mod topics;
mod writer;
