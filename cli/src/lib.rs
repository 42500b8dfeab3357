//! The `eddyline` command line, as a library: the program is thin, and tests use
//! the same commands.
//!
//! - [`args`], [`config`]: what is asked for, and where a running stack is
//! - `nats`: the way of those commands that go to NATS itself
//! - [`command`]: one module per command
//! - [`output`], [`error`], `table`: how results and failures are told
//!
//! Must not know how a stack is started, nor what a service is: `local` does.

pub mod args;
pub mod command;
pub mod config;
pub mod error;
mod moment;
mod nats;
pub mod output;
mod table;
