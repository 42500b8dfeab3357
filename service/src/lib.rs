//! What every process of Eddyline shares at run time: settings, telemetry, shutdown,
//! fault switches.
//!
//! Nothing here knows a service, NATS or Kafka. State lives in the values that are
//! handed out ([`shutdown::Shutdown`]); the only process-wide things are the log
//! subscriber and the metrics recorder.

pub mod fault;
pub mod settings;
pub mod shutdown;
pub mod telemetry;
