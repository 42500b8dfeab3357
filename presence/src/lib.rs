//! Who is on a channel, and which nodes live: machines, and their agenda.
//!
//! Each takes inputs and returns what is to be done; none waits, or knows who carries it.
//! They are a crate of their own, so that they are read and tried without a node.
//!
//! - [`roster`]: the members of a channel that are on one node
//! - [`room`]: one channel on one node: what it writes, and what its watchers are told
//! - [`told`]: what watchers know, and what a change makes of it
//! - [`nodes`]: which nodes live, and who tidies up after those that do not
//! - [`agenda`]: what is to be written, and what is due when; the one that is waited for

pub mod agenda;
pub mod nodes;
pub mod room;
pub mod roster;
pub mod told;
