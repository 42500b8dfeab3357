//! The demo: people editing one document together over the whole path, and the
//! proof that everybody ended with the same text.
//!
//! - `txn`, `trace`, `generator`: what is typed; `schedule`, `lineage`: after having
//!   seen what
//! - `document`, `editor`: the text CRDT, and one headless editor over it
//! - `edit`: an edit as an event's data; `malformed`: data that is none
//! - `pace`, `latency`, `board`: how fast, how late, how far
//! - `participant`: one editor on one edge node; `chores`: what it does besides typing
//! - `witness`: somebody who looks on, for tests
//! - `mirror`: the document rebuilt from Kafka alone
//! - `run`: all of it together; `report`: what came of it
//!
//! Must not know how the stack is started nor how reports are printed.

pub mod board;
pub mod chores;
pub mod document;
pub mod edit;
pub mod editor;
pub mod error;
pub mod generator;
pub mod latency;
mod lineage;
pub mod malformed;
pub mod mirror;
pub mod pace;
pub mod participant;
pub mod report;
pub mod run;
pub mod schedule;
pub mod trace;
pub mod txn;
pub mod witness;

pub use board::Board;
pub use error::DemoError;
pub use report::Report;
pub use run::{Plan, Targets, run};
pub use witness::{Author, Nobody, Witness};
