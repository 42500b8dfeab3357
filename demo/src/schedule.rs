//! Which transactions an agent had seen when it typed: the concurrency of a trace.
//!
//! Job: for each own transaction of an agent, in order, name the others' that must
//! be merged before it, and by omission those that must not be. Owns the set of
//! merged transactions. Must not know texts, updates or how they travel.

use std::collections::VecDeque;
use std::sync::Arc;

use super::trace::{Trace, Txn};

#[cfg(test)]
mod tests;

/// What one agent's latest transaction has among its ancestors.
///
/// It only ever grows along the agent's own chain. So each step walks from the
/// new transaction back to what is merged already, and a whole trace costs one
/// visit per transaction and agent.
pub struct Lineage {
    /// By transaction index.
    merged: Vec<bool>,
    latest: Option<u32>,
}

impl Lineage {
    /// The lineage of an agent that has typed nothing yet, in a trace of `txns` transactions.
    pub fn new(txns: usize) -> Self {
        Self {
            merged: vec![false; txns],
            latest: None,
        }
    }

    /// Goes on to the agent's next own transaction: merges it with all its
    /// ancestors, and returns those that were not merged before, without itself,
    /// in ascending order (parents first). Each parent must be earlier than its child.
    ///
    /// # Errors
    /// The agent's previous transaction, when it is not an ancestor of this one.
    pub fn advance(&mut self, txns: &[Txn], txn: u32) -> Result<Vec<u32>, u32> {
        self.merged[txn as usize] = true;
        let mut seen_latest = self.latest.is_none();
        let mut fresh = Vec::new();
        let mut open = vec![txn];
        while let Some(child) = open.pop() {
            for &parent in &txns[child as usize].parents {
                // Whatever lies between the latest and this one descends from the
                // latest, so it is not merged: the walk cannot stop short of it.
                seen_latest |= self.latest == Some(parent);
                let merged = &mut self.merged[parent as usize];
                if !std::mem::replace(merged, true) {
                    fresh.push(parent);
                    open.push(parent);
                }
            }
        }
        match self.latest.replace(txn) {
            Some(previous) if !seen_latest => Err(previous),
            _ => {
                fresh.sort_unstable();
                Ok(fresh)
            }
        }
    }
}

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
