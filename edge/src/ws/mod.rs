//! The WebSocket around the core.
//!
//! - `upgrade`: from an HTTP request to a session
//! - `socket`: bytes in, queued payloads out, over any stream
//! - `session`: one connection's loop

mod session;
mod socket;
pub mod upgrade;
