//! Stored events of a channel, a page at a time, in both directions.
//!
//! - `asked`: what is asked for, once it passed every check
//! - `histories`: reads a page
//! - `below`: finds events towards the beginning, of a stream that is read upwards
//! - `page`: what fits into a page, and what it accounts for
//!
//! A page stands by itself: nothing is kept on the node between two of them.

mod asked;
mod below;
mod histories;
mod page;
#[cfg(test)]
mod tests;

pub use asked::Asked;
pub use histories::Histories;
