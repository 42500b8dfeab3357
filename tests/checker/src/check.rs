//! All checks, each promise in a module of its own.
//!
//! State: none; each check reads the index and fills the sink.
//! Must not know: one another. A corruption may be seen by several checks; each says what it saw.

mod acks;
mod effects;
mod functions;
mod mirror;
mod order;
mod partitions;
mod streams;
mod subscribers;
mod verdicts;

use crate::index::Index;
use crate::report::Sink;

/// Runs every check.
pub(crate) fn all(index: &Index<'_>, sink: &mut Sink) {
    streams::check(index, sink);
    effects::check(index, sink);
    acks::check(index, sink);
    order::check(index, sink);
    functions::check(index, sink);
    subscribers::check(index, sink);
    mirror::check(index, sink);
    partitions::check(index, sink);
}
