//! Function workers: the Wasm host, and the lanes that commit what functions make
//! of events exactly once.
//!
//! Layout
//! - [`config`]: settings; [`error`]: why a worker does not start
//! - [`event`]: a stored event, taken apart
//! - [`host`]: compiles modules and runs guests; knows no streams
//! - [`lane`]: one function on one lane: a pure state machine, and what drives it
//! - [`registry`]: follows `FUNCTIONS`, compiles what is deployed
//! - [`worker`]: one process's worker: claims lanes, runs them, gives them up
//! - [`deploy`]: puts a function into `FUNCTIONS` and its module into `MODULES`
//!
//! Functions read INGRESS (gates) or EVENTS (reactive functions) and write EVENTS.
//! The only state of a lane that matters is its last checkpoint, which is stored
//! in one atomic batch with the outputs that it stands for.

pub mod config;
pub mod deploy;
pub mod error;
pub mod event;
pub mod host;
pub mod lane;
pub mod registry;
pub mod worker;

pub use config::WorkerConfig;
pub use error::WorkerError;
pub use worker::{Worker, WorkerStatus, start};
