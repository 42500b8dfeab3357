//! The Rust client: publish, subscribe, read history, replay.
//!
//! [`Client`] is one WebSocket session that heals itself: a cheap handle, with one
//! task behind it that owns the session. That task sends publishes pipelined within
//! the node's window, resends what has no ack (same `n`, time of the first attempt),
//! connects again with jittered back-off, resumes each channel from its last position,
//! and checks the chain of `seq` and `prev`, so that what a [`Subscription`] yields is
//! complete or says what is not.
//!
//! - `outstanding`: which event is sent next, and what an answer means for it
//! - `channel`: what one subscription is doing
//! - `chain`: whether a delivery follows the one before
//! - `granter`: events that a reader is ready to take
//! - `request`, `shared`: what handles ask of the task, and what it tells them
//! - `ticket`: how it comes back in one round trip
//! - `actor`: the task; `socket`: one session on one connection
//! - `address`, `connection`: where a node is, and the way to it, TLS included
//! - [`replay`]: stored events read back over gRPC
//! - [`trace`]: one event's way, over HTTP
//!
//! Must not know what events mean, nor link anything of a server.

mod actor;
mod address;
mod backoff;
mod chain;
mod channel;
mod connection;
mod error;
mod granter;
mod handle;
mod options;
mod outstanding;
mod proto;
pub mod replay;
mod request;
mod shared;
mod socket;
mod subscription;
mod ticket;
pub mod trace;

pub use chain::{Chain, Link};
pub use error::ClientError;
pub use granter::Granter;
pub use handle::{Ack, Client};
pub use options::{
    ClientOptions, Draft, QUEUE_DELIVERIES, Resend, SubscribeOptions, data_of, data_of_ephemeral,
};
pub use shared::ClientStats;
pub use subscription::{Delivery, PresenceChange, Subscription};

pub use protocol::filter::{Condition, HeaderFilter};
pub use protocol::frame::{
    Encoding, End, Ephemeral, Event, Gap, History, HistoryPage, Join, Leave, Mark, Member, Named,
    PassedOn, Presence, Published, Start,
};
pub use protocol::outcome::{OutcomeEvent, OutcomeKind, Outputs};

#[cfg(test)]
mod tests;
