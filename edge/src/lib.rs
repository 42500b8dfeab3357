//! The edge: WebSocket sessions over HTTP, publishing into the store, fan-out,
//! resume.
//!
//! - `server`, `upgrade`, `health`: HTTP, and the way from it to a WebSocket
//! - `session`: one connection's task and its state machine
//! - `outbox`, `port`: what waits to be sent to one client, and its mailbox
//! - `feed`, `registry`, `probe`: one relay per active channel, repaired by itself
//! - `replay`: from a position to live
//! - `publisher`: from a command to a stored event
//! - `namespaces`: the configuration that the node follows
//!
//! A node keeps nothing that a client cannot resume elsewhere. It does not know the
//! workers or the bridge.

mod clock;
mod config;
mod error;
mod feed;
mod health;
mod metrics;
mod namespaces;
mod node;
mod outbox;
mod port;
mod probe;
mod publisher;
mod registry;
mod replay;
mod server;
mod session;
mod upgrade;
mod websocket;

pub use config::{EdgeConfig, EdgeLimits};
pub use error::EdgeError;
pub use server::{EdgeNode, start};
