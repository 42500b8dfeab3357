//! Everything of Eddyline on this machine: any set of instances, in this process or as
//! child processes, and the whole stack that people develop against.
//!
//! - [`service`]: the three services, by their settings and their public API
//! - [`instance`]: one of them: started, stopped, killed, paused, started again
//! - [`programs`]: where built programs and modules are
//! - [`http`]: one GET request
//! - [`stack`]: NATS, Kafka and the services together, looked after
//!
//! `eddyline dev` and the tests use it. Must not know what is published, nor how
//! anything is printed or asserted.

pub mod http;
pub mod instance;
pub mod programs;
mod sentence;
pub mod service;
pub mod stack;

pub use instance::{Instance, InstanceError, Placement};
pub use sentence::sentence;
pub use service::Service;
pub use stack::{OnStep, Stack, StackError, StackOptions, Status};
