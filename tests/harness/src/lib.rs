//! What the end-to-end tests share: real servers, any number of instances of each
//! service beside them, clients that record what they see, and the way from there
//! into the history checker.
//!
//! - [`environment`]: what the tests are told from outside, and where built things are
//! - [`servers`]: a NATS server per test, one Kafka per process; or three of each:
//!   [`cluster`], [`brokers`]
//! - [`proxy`]: a bad network between any two parts; [`disk`]: a disk that is soon full
//! - [`instance`]: one edge node, worker or bridge, in this process or as a child
//!   process that can be killed
//! - [`deployment`]: all of them together, with a store, namespaces and functions
//! - [`store`]: the store of a test
//! - [`traffic`]: events that keep flowing while a test breaks things
//! - [`foreign`]: some other program that writes into our streams
//! - [`writer`], [`follower`], [`raw`]: clients; [`onlooker`]: the demo's editors
//! - [`collect`]: streams and Kafka read back as records
//! - [`pki`]: certificates of the tests' own
//! - [`process`]: what the system tells of a process
//! - [`wait`]: waiting for conditions, never for time
//!
//! A test owns its [`Deployment`]; dropping it ends everything that it started.
//! Nothing here knows what a single test is about.

mod blocking;
pub mod brokers;
pub mod cluster;
pub mod collect;
pub mod deployment;
pub mod disk;
pub mod environment;
pub mod follower;
pub mod foreign;
pub mod instance;
pub mod onlooker;
pub mod pki;
pub mod process;
pub mod proxy;
pub mod raw;
pub mod servers;
pub mod store;
pub mod traffic;
pub mod wait;
pub mod writer;

pub use brokers::Brokers;
pub use cluster::Cluster;
pub use deployment::{Builder, Deployment, FunctionChoice, TICKS};
pub use environment::seed;
pub use follower::Follower;
pub use instance::{Instance, Placement};
pub use local::service;
pub use onlooker::Onlooker;
pub use proxy::{Direction, Proxy};
pub use raw::RawSession;
pub use servers::{KafkaChoice, NatsChoice, Servers};
pub use wait::{DEADLINE, until};
pub use writer::Writer;

/// The hash by which the checker compares bodies.
pub fn body_hash(body: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(body)
}
