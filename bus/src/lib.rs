//! The JetStream bus: streams, buckets, leases, and the bootstrap of a store. The only
//! crate of the services that knows async-nats.
//!
//! One [`Bus`] is one connection; clones are cheap and share it. The bus carries
//! subjects, headers and bytes; it does not know what they mean.
//!
//! - [`Bus`]: publishing, reading, core subscriptions; over NATS, or over [`model`]
//! - [`Reader`], [`Scan`], [`Kv`]: following a stream, reading a range, buckets
//! - [`bootstrap`]: makes the streams and buckets of a store, or checks them
//! - [`lease`]: who may work on what, for a short time
//! - [`model`]: JetStream in memory, with virtual time and faults, for simulations

mod before;
pub mod bootstrap;
mod bus;
mod codes;
mod details;
pub mod directory;
pub mod disconnects;
mod error;
mod following;
mod incoming;
mod known;
mod kv;
pub mod lease;
mod limits;
pub mod model;
mod modules;
mod nats;
pub mod pulse;
mod reader;
mod request;
pub mod revocations;
mod scan;
mod share;
mod whole;

pub use bus::{Bus, PendingAck, Subscription};
pub use error::BusError;
pub use following::ReaderOptions;
pub use incoming::{Incoming, ReplyTo};
pub use kv::{Kv, KvChange, KvEntry, KvWatch, is_deletion};
pub use limits::{
    BATCH_EVENTS_MAX, LAST_EACH_MAX, LAST_SEQS_MAX, NEXT_EVENTS_MAX, PUBLISH_TIMEOUT,
    READER_BATCH_MAX,
};
pub use reader::Reader;
pub use scan::{Portion, SCAN_CONSUMER_THRESHOLD, Scan};
