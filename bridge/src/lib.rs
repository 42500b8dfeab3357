//! The bridge: mirrors JetStream streams into Kafka exactly once, and replays them
//! over gRPC.
//!
//! - [`config`]: settings, read once
//! - `bridge`: starting and stopping; [`start`] and [`Bridge`]
//! - `arrivals`: connections of readers, with TLS or without
//! - `mirror`: streams into Kafka
//! - `replay`: Kafka, spliced into JetStream, to gRPC clients
//! - `kafka`: clients, topics, watermarks, the transactional producer
//! - [`status`]: how far the mirror is
//!
//! The mirror's state is in Kafka, in each transaction; ownership is a lease in
//! NATS. A bridge process may be killed at any time. It must not know the edge, the
//! workers, or anything inside an event's payload.

mod arrivals;
mod bridge;
pub mod config;
mod error;
mod kafka;
mod metrics;
pub mod mirror;
mod proto;
mod replay;
pub mod status;

pub use bridge::{Bridge, start};
pub use config::BridgeConfig;
pub use error::BridgeError;
