//! How much of the stores each tenant may have, so that nobody fills them for the others.
//!
//! - `task`: tells the other nodes, hears them, and looks how full the streams are
//!
//! What counts is what is stored, over as long as a stream keeps it.

pub mod task;
