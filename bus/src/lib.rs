//! The JetStream bus: streams, buckets, leases, and the bootstrap of a store. The only
//! crate of the services that knows async-nats.
//!
//! One [`Bus`] is one NATS connection; clones are cheap and share it. The bus
//! carries subjects, headers and bytes; it does not know what they mean.
//!
//! - [`nats`]: the connection, publishing, reading, buckets, modules
//! - [`bootstrap`]: makes the streams and buckets of a store, or checks them
//! - [`lease`]: who may work on what, for a short time

pub mod bootstrap;
mod error;
mod incoming;
pub mod lease;
pub mod nats;

pub use error::BusError;
pub use incoming::Incoming;
pub use nats::{
    BATCH_EVENTS_MAX, Bus, Kv, KvChange, KvWatch, LAST_SEQS_MAX, NEXT_EVENTS_MAX, PUBLISH_TIMEOUT,
    PendingAck, READER_BATCH_MAX, Reader, ReaderOptions, SCAN_CONSUMER_THRESHOLD, Scan,
    Subscription,
};
