//! What a deployer does: functions checked as a worker would check them, stored, and
//! written by compare-and-set.
//!
//! Layout
//! - `app`: an application's file, `eddyline.toml`
//! - `deploy`: puts a function into `FUNCTIONS` and its module into `MODULES`
//!
//! Owns no state: what is deployed lives in the buckets. Used by whoever deploys, not by
//! the services; must not know lanes, sessions or shards.

pub mod app;
mod deploy;

pub use deploy::{DeployError, FunctionDraft, Start, deploy, remove};
