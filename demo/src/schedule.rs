//! Which transactions an agent had seen when it typed: the concurrency of a trace.
//!
//! Job: for each own transaction of an agent, in order, name the others' that must
//! be merged before it, and by omission those that must not be. Owns the
//! agent's place in the trace. Must not know texts, updates or how they travel.

use std::collections::VecDeque;
use std::sync::Arc;

use super::lineage::Lineage;
use super::trace::Trace;

#[cfg(test)]
mod tests;

/// What an agent has to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Merge this transaction of another agent, which may not have arrived yet.
    Merge(u32),
    /// Type this own transaction: exactly its ancestors are merged.
    Type(u32),
    /// Nothing is left to type; whatever is still held may be merged now.
    Rest,
}

/// The order in which one agent merges and types. A pure state machine: ask
/// [`Schedule::step`], do it, then say [`Schedule::done`].
pub struct Schedule {
    trace: Arc<Trace>,
    own: VecDeque<u32>,
    /// Ancestors of the first of `own` still to be merged, parents first.
    needed: VecDeque<u32>,
    lineage: Lineage,
}

impl Schedule {
    /// The schedule of `agent` in a checked trace; an agent without transactions rests at once.
    pub fn new(trace: &Arc<Trace>, agent: u32) -> Self {
        let mut schedule = Self {
            trace: Arc::clone(trace),
            own: trace.typed_by(agent).collect(),
            needed: VecDeque::new(),
            lineage: Lineage::new(trace.txns.len()),
        };
        schedule.look_ahead();
        schedule
    }

    /// What comes next; unchanged until [`Schedule::done`].
    pub fn step(&self) -> Step {
        match (self.needed.front(), self.own.front()) {
            (Some(&txn), _) => Step::Merge(txn),
            (None, Some(&txn)) => Step::Type(txn),
            (None, None) => Step::Rest,
        }
    }

    /// Says that the current step was done; at rest, nothing happens.
    pub fn done(&mut self) {
        if self.needed.pop_front().is_none() && self.own.pop_front().is_some() {
            self.look_ahead();
        }
    }

    fn look_ahead(&mut self) {
        if let Some(&txn) = self.own.front() {
            let needed = self.lineage.advance(&self.trace.txns, txn);
            self.needed = needed
                .expect("the trace was checked: an agent's chain is causal")
                .into();
        }
    }
}
