//! What runs on this machine, and for whom: what every program needs that people use
//! beside a running `eddyline dev`.
//!
//! - [`DevState`], [`Claim`], [`all`], [`find`]: the files that each `dev` leaves
//! - [`cache`], [`compiled`]: folders that they share
//! - [`who`]: in whose name things are written
//!
//! Owns the files of running `dev`s. Must not know what is deployed, nor link what serves.

mod dev;
mod error;
mod folder;
mod who;

pub use dev::{Claim, DevState, NAME, Which, all, find};
pub use error::RunningError;
pub use folder::{cache, compiled, compiled_in};
pub use who::who;
