//! What tenants and clients share of a node: shared evenly, and bounded. Whoever has much to do
//! waits for itself, not the others for it.
//!
//! Layout
//! - [`mod@line`]: what waits, each tenant's in its own order, the tenants in turn
//! - [`queue`]: that between those who find work and the one who does it
//! - [`turns`]: so many at a time, of each tenant so many
//! - [`rate`]: how fast something may go on
//! - [`addresses`]: connections by where they come from
//! - [`budget`]: what all clients together may leave waiting
//! - [`outbox`]: what waits for one client, and [`pushing`] how it comes there; [`lossy`]: what of it may give way
//! - [`departures`]: who leaves a draining node when
//! - [`places`]: as many at a time for each as are free
//! - [`credit`]: what clients are ready to take
//! - [`sieve`]: which events a client is not sent, and how it is told
//! - [`ledger`]: how much of the stores each tenant has, and may have
//!
//! It knows neither sessions nor the bus.

pub mod addresses;
pub mod budget;
pub mod credit;
pub mod departures;
pub mod ledger;
pub mod line;
pub mod lossy;
pub mod outbox;
pub mod places;
pub mod pushing;
pub mod queue;
pub mod rate;
pub mod sieve;
pub mod turns;
