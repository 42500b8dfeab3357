//! What the three services share at run time: settings, telemetry, shutdown,
//! fault switches, tokens, the JetStream bus, the bootstrap of a store, leases.
//!
//! Nothing here knows a service. State lives in the values that are handed out
//! ([`bus::Bus`], [`lease::Lease`], [`shutdown::Shutdown`]); the only process-wide
//! things are the log subscriber and the metrics recorder.

pub mod auth;
pub mod bootstrap;
pub mod bus;
pub mod fault;
pub mod lease;
pub mod settings;
pub mod shutdown;
pub mod telemetry;
