//! WebSocket frames (RFC 6455) as a server reads and writes them: bytes in, messages out, and
//! heads before payloads that all clients share.
//!
//! Layout
//! - [`frame`]: kinds of frames, and how ours are written
//! - [`parser`]: what a client sends
//!
//! No socket, no session and no time.

pub mod frame;
pub mod parser;
