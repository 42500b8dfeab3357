//! Real NATS and Kafka servers on this machine, for development and tests.
//!
//! The crate finds or fetches pinned builds ([`fetch`]), says in one sentence
//! each what the machine lacks ([`prerequisites`]), and runs [`NatsServer`] and
//! [`KafkaServer`] with free ports and a data folder of their own. No server
//! outlives the process that started it, however that process ends.
//!
//! Everything here blocks and needs no async runtime, so that `Drop` can stop a
//! server anywhere; from Tokio, call the starting, stopping and fetching
//! functions inside `spawn_blocking`.
//!
//! It must not know anything of Eddyline itself: no streams, topics or services.

pub mod config;
mod error;
pub mod fetch;
pub mod hash;
mod home;
mod interrupt;
pub mod kafka;
pub mod missing;
pub mod nats;
pub mod port;
pub mod prerequisites;
pub mod process;
pub mod programs;
mod server;
mod spawner;
mod stack;
mod sys;
mod tool;
#[cfg(any(test, not(target_os = "linux")))]
mod watchdog;

pub use config::Config;
pub use error::{DevstackError, Result};
pub use interrupt::Interrupt;
pub use kafka::{Kafka, KafkaCluster, KafkaClusterPlan, KafkaMember, KafkaOptions, KafkaServer};
pub use nats::{Nats, NatsCluster, NatsClusterPlan, NatsMember, NatsOptions, NatsServer, NatsUser};
pub use process::ServerProcess;
pub use server::{Program, Server};
pub use stack::{Stack, StackOptions};
