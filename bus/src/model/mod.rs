//! JetStream in memory: skeleton.

mod connection;
mod faults;

pub(crate) use connection::{Connection, PendingAck, Reader, Subscription};
pub use faults::ModelFaults;
