//! The `eddyline` command line, as a library: the program is thin, and tests use
//! the same stack.
//!
//! - [`stack`]: the whole of Eddyline on this machine, in one process
//! - [`demo`]: people editing one document together, and the proof that it worked
//! - [`args`], [`config`]: what is asked for, and where a running stack is
//! - [`command`]: one module per command
//! - [`output`], [`error`]: how results and failures are told
//!
//! Must not know how a service works inside: it starts them by their public API.

pub mod args;
pub mod command;
pub mod config;
pub mod demo;
pub mod error;
pub mod output;
pub mod stack;
