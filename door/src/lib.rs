//! What stands before a node's door: who comes through a known proxy is told by its header,
//! and TLS is agreed on with a pair of files that may change. Each step has its limit.
//!
//! Layout
//! - [`proxies`], [`header`], [`arrival`]: whose header is read, its form, and its reading
//! - [`certificate`], [`expiry`], [`reload`], [`tls`]: the pair of files, and TLS with it
//!
//! It knows no node: who accepts connections goes through it step by step.

pub mod arrival;
pub mod certificate;
pub mod expiry;
pub mod header;
pub mod proxies;
pub mod reload;
pub mod tls;
