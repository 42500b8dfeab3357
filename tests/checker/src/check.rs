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
mod ticks;
mod verdicts;
mod work;

use crate::history::History;
use crate::index::Index;
use crate::report::{Counts, Report, Sink};

impl History {
    /// Judges the history. Takes a few seconds for a million records; needs no runtime.
    pub fn check(&self) -> Report {
        let mut sink = Sink::new(Counts::of(self));
        let index = Index::new(self);
        all(&index, &mut sink);
        sink.into_report()
    }
}

/// Runs every check.
fn all(index: &Index<'_>, sink: &mut Sink) {
    streams::check(index, sink);
    effects::check(index, sink);
    acks::check(index, sink);
    order::check(index, sink);
    functions::check(index, sink);
    ticks::check(index, sink);
    subscribers::check(index, sink);
    mirror::check(index, sink);
    partitions::check(index, sink);
}
