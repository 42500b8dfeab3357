//! One channel's chain of events on a node: what follows, what is missing, what is held
//! meanwhile, and the last of it for those who join.
//!
//! - [`state`]: the relay, as a machine
//! - [`ring`]: the last events, without a hole
//!
//! It knows neither streams nor subscribers, and no event but by its place.

pub mod ring;
pub mod state;
