//! One event's way through a store: which edge took it, where it was stored, which
//! functions handled it and what they made of it, where the mirror has it.
//!
//! Nothing is recorded for this: everything follows from what is stored anyway, and is
//! found by sequences and subjects that the streams index. So the work for one answer is
//! bounded, however much a store holds, and what retention has taken is said to be gone.
//!
//! Layout
//! - [`tracer`]: asks the streams, in their tenants' turns
//! - [`search`]: finds an id on its channel
//! - [`settlement`]: finds the commit that settled an input
//! - [`bisection`]: the place in a row from which on something holds: a machine
//! - [`standing`]: how an input stands at a checkpoint: pure
//! - [`way`]: puts the steps together from stored messages: a machine
//! - [`versions`]: the functions of a store and their versions
//! - [`mirror`]: asks the bridge
//!
//! It must not know HTTP or sessions, and checks no token.

pub mod bisection;
pub mod mirror;
pub mod search;
pub mod settlement;
pub mod standing;
pub mod tracer;
pub mod versions;
pub mod way;

pub use mirror::Bridges;
pub use tracer::{Asked, TraceError, Tracer};

#[cfg(test)]
mod tests;
