//! The relay of one active channel on this node: one core subscription, one task,
//! any number of subscribers.
//!
//! - `relay`: the channel's chain and who is live
//! - `state`, `ring`: what it does with what it receives, without waiting
//! - `ears`: what is heard of it, and how long that waits for more
//! - `sources`: what its task works with
//! - `task`: subscribe, mark, relay, repair, end
//! - `repair`: reads from the stream what was missed

pub mod ears;
pub mod relay;
pub mod repair;
pub mod sources;
pub mod task;
