//! From a position to live: the one path for a new subscription, a resumed one and
//! one that was paused because its client read too slowly.
//!
//! - `attach`: makes a subscription, or takes it up again
//! - `reader`: brings it level and joins it to its feed
//! - `replays`: what all of them share
//!
//! A task per subscription while it is behind, none once it is live. It reads the
//! stream up to the feed's position, with the outbox as back-pressure, and asks to
//! join; the feed holds what came meanwhile in its ring, once for everybody.

mod attach;
mod reader;
mod replays;
#[cfg(test)]
mod tests;

pub use attach::{again, attach};
pub use replays::Replays;
