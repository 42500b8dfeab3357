//! What every process of Eddyline shares at run time.
//!
//! - [`process`]: the shape of every `main`; [`settings`], [`telemetry`], [`shutdown`]
//! - [`listener`]: health and metrics
//! - [`clock`], [`backoff`], [`chain`]: the time, waits between attempts, errors as text
//! - [`fetch`]: one small document over HTTP, with TLS
//! - [`fault`]: test-only switches
//!
//! Nothing here knows a service, NATS or Kafka. State lives in the values that are
//! handed out ([`shutdown::Shutdown`]); the only process-wide things are the log
//! subscriber and the metrics recorder.

pub mod backoff;
pub mod chain;
pub mod clock;
pub mod fault;
pub mod fetch;
pub mod listener;
pub mod process;
pub mod settings;
pub mod shutdown;
pub mod telemetry;
