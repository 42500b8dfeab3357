//! The door of a node: from a connection that was accepted to one that HTTP is spoken
//! on. Who comes through a known proxy is told by its header, TLS is agreed on, and
//! each of these steps has its limit.
//!
//! - `accept`: the loop, and the way of one connection through all of it
//! - `proxies`, `header`, `arrival`: whose header is read, its form, and its reading
//! - `certificate`, `expiry`, `reload`, `tls`: the pair of files, and TLS with it

pub mod accept;
pub mod arrival;
pub mod certificate;
pub mod expiry;
pub mod header;
pub mod proxies;
pub mod reload;
pub mod tls;
