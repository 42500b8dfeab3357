//! Fuzz targets for whatever strangers send, on stable Rust: frames, tokens, headers of
//! proxies, bodies, queries and heads of requests.
//!
//! - `target`: the table, and what must hold of each kind of input; `property`: what such
//!   checks are made of; `frames`: broken
//!   frames, shared with the flood over real sockets
//! - `mutate`: damages inputs, bytes and structure
//! - `search`: tries one input after the other, and goes on from those that did something
//!   new; `shrink`: what is left of one that fails
//! - `corpus`: the committed inputs, from which each search begins
//! - `meter`: how much was allocated at a time
//!
//! There is no instrumentation: what an input did is told by its outcome (which refusal,
//! which shape of what was read), and an outcome that has not been seen before makes its
//! input worth damaging further. Everything follows from a seed.

pub mod corpus;
#[allow(
    clippy::unwrap_used,
    reason = "it is a fixture of tests, as where it comes from"
)]
#[path = "../../tests/wire/mutate.rs"]
pub mod frames;
pub mod meter;
pub mod mutate;
pub mod property;
pub mod search;
pub mod shrink;
pub mod target;
