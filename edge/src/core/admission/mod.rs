//! How much of a node each connection, user and tenant may have: nobody takes what the
//! others need.
//!
//! Rates are counted for each connection alone, and for each user and tenant over all of
//! their connections to this node. What is over a rate is refused for now, and told how
//! long.

mod account;
pub mod allowance;

pub use account::Accounts;
