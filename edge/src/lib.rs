//! The edge: sessions and publishing over WebSockets and HTTP, fan-out, resume.
//!
//! - [`core`]: what a node does, whatever carries it: sessions, publisher, feeds,
//!   replay, configuration; over a bus, without a socket
//! - `ws`: the WebSocket: its upgrade, its frames, its session's loop
//! - `http`: publishing and history by request, health, the OpenAPI document
//! - `reading`: channels over Server-Sent Events and long polling
//! - `accept`: the way of one connection through the door, and its places
//! - `server`, `node`: a node's life; `origins`: which web pages may use it
//!
//! - [`strangers`]: the readers of what anybody may send, without a node
//!
//! A node keeps nothing that a client cannot resume elsewhere. It does not know the
//! workers or the bridge.

mod accept;
mod config;
pub mod core;
mod error;
mod http;
mod node;
mod origins;
mod reading;
mod server;
pub mod strangers;
mod ws;

pub use config::EdgeConfig;
pub use core::limits::{EdgeLimits, RateLimits};
pub use door::certificate::{CertificateFault, TlsSettings};
pub use error::EdgeError;
pub use server::{EdgeNode, start};
