//! What the end-to-end tests share: real servers, any number of instances of each
//! service beside them, clients that record what they see, and the way from there
//! into the history checker.
//!
//! - [`environment`]: what the tests are told from outside, and where built things are
//! - [`servers`]: a NATS server per test, one Kafka per process
//! - [`instance`]: one edge node, worker or bridge, in this process or as a child
//!   process that can be killed
//! - [`deployment`]: all of them together, with a store, namespaces and functions
//! - [`writer`], [`follower`], [`raw`]: clients; [`onlooker`]: the demo's editors
//! - [`collect`]: streams and Kafka read back as records
//! - [`process`]: what the system tells of a process
//! - [`wait`]: waiting for conditions, never for time
//!
//! A test owns its [`Deployment`]; dropping it ends everything that it started.
//! Nothing here knows what a single test is about.

pub mod collect;
pub mod deployment;
pub mod environment;
pub mod follower;
pub mod instance;
pub mod onlooker;
pub mod process;
pub mod raw;
pub mod servers;
pub mod wait;
pub mod writer;

pub use deployment::{Builder, Deployment, FunctionChoice};
pub use environment::seed;
pub use follower::Follower;
pub use instance::{Instance, Placement};
pub use local::service;
pub use onlooker::Onlooker;
pub use raw::RawSession;
pub use servers::{KafkaChoice, Servers};
pub use wait::{DEADLINE, until};
pub use writer::Writer;

/// The hash by which the checker compares bodies.
pub fn body_hash(body: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(body)
}
