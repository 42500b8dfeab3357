//! Replay over gRPC: history from Kafka, spliced into what JetStream stores now.
//!
//! - `service`: the gRPC service: who may read, how many at once
//! - `plan`: a request, checked
//! - `drive`: one read from start to end: history, live, and back when it falls behind
//! - `history`: the part that comes from Kafka
//! - `live`: the part that comes from JetStream
//! - `token`: where a read goes on
//! - `batch`: responses as they are filled
//! - `fault`: every way in which a read ends early

mod batch;
mod drive;
mod fault;
mod history;
mod live;
mod plan;
pub(crate) mod service;
mod token;

pub(crate) use drive::Context;
pub(crate) use plan::Home;

/// Reads at once in one process; each has a Kafka client with its buffers. Policy
/// past it: refuse with RESOURCE_EXHAUSTED.
pub(crate) const READS_MAX: usize = 32;
