//! Function workers: the lanes that commit what functions make of events exactly once.
//!
//! Layout
//! - `deployed`: a function as it is to run
//! - `config`: settings; `error`: why a worker does not start
//! - [`lane`]: one function on one lane: a pure state machine, and what drives it;
//!   public for simulations, which run it over a model of the bus
//! - `fleet`: which lanes this worker runs, among the workers of its store
//! - [`intake`]: what comes to a lane, read once for all its functions
//! - `logs`: what functions write, kept where people look for it
//! - `meter`: what functions do, counted
//! - `registry`: follows `FUNCTIONS`, compiles what is deployed
//! - `request`: ephemeral events through gates, by request and reply
//! - `status`: what a worker shows of itself
//! - `trial`: a version on trial beside another, and what becomes of it
//! - `worker`: one process's worker: connections, host, start and end
//!
//! Functions read INGRESS (gates) or EVENTS (reactive functions) and write EVENTS.
//! The only state of a lane that matters is its last checkpoint, which is stored
//! in one atomic batch with the outputs that it stands for.

mod config;
mod deployed;
mod error;
mod fleet;
pub mod intake;
pub mod lane;
mod logs;
mod meter;
mod registry;
mod request;
mod status;
mod trial;
mod worker;

pub use config::WorkerConfig;
pub use error::{LaneError, WorkerError};
pub use status::WorkerStatus;
pub use worker::{Worker, start};
