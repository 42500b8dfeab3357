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

use std::error::Error;

pub mod http;
pub mod instance;
pub mod programs;
pub mod service;
pub mod stack;

pub use instance::{Instance, InstanceError, Placement};
pub use service::Service;
pub use stack::{OnStep, ServiceEnd, Stack, StackError, StackOptions, Status};

/// An error and what caused it as one sentence; causes that the text above already
/// contains are not repeated.
pub fn sentence(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let words = inner.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = inner.source();
    }
    text
}
