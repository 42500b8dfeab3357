//! What tenants share is shared evenly: whoever has much to do waits for itself, not the
//! others for it.
//!
//! - [`line`]: what waits, each tenant's in its own order, the tenants in turn
//! - [`queue`]: that between those who find work and the one who does it
//! - [`turns`]: so many at a time, of each tenant so many

pub mod line;
pub mod queue;
pub mod turns;
