//! JSON as it was written: read into a tree, looked into, changed, and written again.
//!
//! What nobody changes keeps its meaning to the last digit: numbers stay the text that
//! they were, members stay in their order, so that the same input always gives the same
//! bytes. (`serde_json::Value` turns numbers into 64 bits, and keeps the order only with
//! a hash map, which draws randomness that guests do not have.)
//!
//! - [`Node`]: the tree; [`parse`] reads it, strictly by RFC 8259
//! - [`Place`], [`edit`]: every node with its JSON pointer (RFC 6901)
//! - [`Fields`]: which members are meant, by pointer or by name
//! - [`Decimal`]: numbers compared exactly
//!
//! Owns nothing. Must not know events, nor what a document means.

mod decimal;
mod edit;
mod fields;
mod node;
mod parse;

pub use decimal::Decimal;
pub use edit::{Place, Then, edit};
pub use fields::Fields;
pub use node::Node;
pub use parse::{DEPTH_MAX, ParseError, parse};
