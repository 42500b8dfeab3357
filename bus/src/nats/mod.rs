//! The bus over NATS: the only module that knows async-nats.
//!
//! - `connection`: connecting, the connection's state, core subscriptions
//! - `writer`: the connection that writes
//! - `signals`: whether both connections stand
//! - `inbox`: replies to requests, by one subscription
//! - `publish`: one event and its acknowledgement
//! - `batch`: atomic batches
//! - `direct`: reading single events and short runs of events
//! - `reader`: following a stream
//! - `bucket`, `objects`: what buckets and the object store need beside
//! - `api`: JetStream's requests and replies as JSON
//! - `block`, `unreadable`: messages that async-nats cannot parse
//! - `wire`: headers and times, the same rule for every way of reading

mod api;
mod batch;
mod block;
mod bucket;
mod connection;
mod direct;
mod inbox;
mod objects;
mod places;
mod publish;
mod reader;
mod request;
mod signals;
mod unreadable;
mod wire;
mod writer;

pub use connection::{Bus, Subscription};
pub use publish::PendingAck;
pub(crate) use reader::Reader;
