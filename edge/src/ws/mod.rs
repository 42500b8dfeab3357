//! The WebSocket around the core.
//!
//! - `upgrade`: from an HTTP request to a session
//! - `frame`: RFC 6455 frames, written
//! - `parser`: and read
//! - `socket`: bytes in, queued payloads out, over any stream
//! - `session`: one connection's loop

mod frame;
mod parser;
mod session;
mod socket;
pub mod upgrade;
