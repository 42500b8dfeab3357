//! What the servers hold, read back as the checker's records.
//!
//! - [`streams`]: INGRESS and EVENTS, through the bus
//! - [`mirror`]: Kafka, by a plain read-committed consumer that shares no code with
//!   the bridge

pub mod mirror;
pub mod streams;
