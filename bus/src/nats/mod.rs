//! The bus over NATS: the only module that knows async-nats.
//!
//! - `connection`: connecting, the connection's state, core subscriptions
//! - `inbox`: replies to requests, by one subscription
//! - `publish`: one event and its acknowledgement
//! - `batch`: atomic batches
//! - `direct`: reading single events and short runs of events
//! - `scan`: reading a range
//! - `reader`: following a stream
//! - `kv`, `modules`: buckets and the object store
//! - `api`: JetStream's requests and replies as JSON
//! - `wire`: headers and times, the same rule for every way of reading

mod api;
mod batch;
mod connection;
mod direct;
mod inbox;
mod kv;
mod modules;
mod publish;
mod reader;
mod scan;
mod wire;

pub use batch::BATCH_EVENTS_MAX;
pub use connection::{Bus, Subscription};
pub use direct::{LAST_SEQS_MAX, NEXT_EVENTS_MAX};
pub use kv::{Kv, KvChange, KvWatch};
pub use publish::{PUBLISH_TIMEOUT, PendingAck};
pub use reader::{READER_BATCH_MAX, Reader, ReaderOptions};
pub use scan::{SCAN_CONSUMER_THRESHOLD, Scan};

pub(crate) use api::StreamDetails;
