//! A headless editor: one agent of a trace, typing into its replica.
//!
//! Job: keep the trace's concurrency. An own transaction is typed only into a text
//! that has exactly its ancestors merged; what arrives earlier than the trace says
//! is held back. Owns the replica and what is held. Must not know the network or
//! the clock: updates go in, updates come out, nothing waits.

use std::sync::Arc;

use super::document::{Document, DocumentError};
use super::schedule::{Schedule, Step};
use super::trace::Trace;

#[cfg(test)]
mod tests;

/// Why an editor cannot go on; none of these is temporary.
#[derive(Debug, thiserror::Error)]
pub enum EditorError {
    /// An update arrived for a transaction that the trace does not have.
    #[error("transaction {txn} arrived, but the trace has {txns}")]
    Unknown {
        /// The index that arrived.
        txn: u32,
        /// How many transactions there are.
        txns: usize,
    },
    /// An own transaction came back that was not typed yet: somebody invented it.
    #[error("own transaction {txn} arrived before it was typed")]
    Untyped {
        /// Its index.
        txn: u32,
    },
    /// The replica refused a transaction: a position out of range when it is an
    /// own one, a broken update otherwise.
    #[error("transaction {txn} cannot be applied")]
    Document {
        /// Its index.
        txn: u32,
        /// Why.
        source: DocumentError,
    },
    /// The session is not over.
    #[error("{missing} transactions are neither typed nor arrived, the first is {txn}")]
    Missing {
        /// Index of the first one.
        txn: u32,
        /// How many there are.
        missing: usize,
    },
}

/// What an arrival was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// A transaction of another agent, new here; it is held until needed.
    Remote,
    /// An own transaction, back for the first time; the text has it already.
    Own,
    /// One that had arrived before; ignored.
    Duplicate,
}

/// Arrivals so far, by kind.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Arrivals {
    /// Others' transactions, each counted once.
    pub remote: usize,
    /// Own transactions, each counted once.
    pub own: usize,
    /// Further arrivals of either.
    pub duplicate: usize,
}

/// Where a transaction stands with this editor.
enum Place {
    /// An own one not typed yet, or another's not arrived yet.
    Absent,
    /// An own one, typed but not back yet.
    Typed,
    /// Another's: here, but not merged.
    Held(Vec<u8>),
    /// Arrived, and in the text.
    Merged,
}

/// One agent's editor. A pure state machine, bounded by the trace: each
/// transaction is held at most once.
pub struct Editor {
    trace: Arc<Trace>,
    agent: u32,
    document: Document,
    schedule: Schedule,
    /// By transaction index.
    places: Vec<Place>,
    arrivals: Arrivals,
}

impl Editor {
    /// The editor of `agent` with an empty text. The trace must be a checked one,
    /// see [`Trace`].
    pub fn new(trace: &Arc<Trace>, agent: u32) -> Self {
        Self {
            trace: Arc::clone(trace),
            agent,
            document: Document::new(agent),
            schedule: Schedule::new(trace, agent),
            places: trace.txns.iter().map(|_| Place::Absent).collect(),
            arrivals: Arrivals::default(),
        }
    }

    /// Takes in one delivered transaction, in whatever order and however often
    /// they come. Call [`Editor::next_local`] afterwards: it may be able to go on.
    ///
    /// # Errors
    /// [`EditorError::Unknown`] and [`EditorError::Untyped`]; the editor is unchanged.
    pub fn received(&mut self, txn: u32, update: Vec<u8>) -> Result<Arrival, EditorError> {
        let Some(place) = self.places.get_mut(txn as usize) else {
            return Err(EditorError::Unknown {
                txn,
                txns: self.trace.txns.len(),
            });
        };
        match place {
            Place::Absent if self.trace.txns[txn as usize].agent == self.agent => {
                Err(EditorError::Untyped { txn })
            }
            Place::Absent => {
                *place = Place::Held(update);
                self.arrivals.remote += 1;
                Ok(Arrival::Remote)
            }
            Place::Typed => {
                *place = Place::Merged;
                self.arrivals.own += 1;
                Ok(Arrival::Own)
            }
            Place::Held(_) | Place::Merged => {
                self.arrivals.duplicate += 1;
                Ok(Arrival::Duplicate)
            }
        }
    }

    /// Types the next own transaction and returns its index and update, to be
    /// published in this order. `None` while an ancestor of it has not arrived, and
    /// when all is typed ([`Editor::has_typed_all`] tells which).
    ///
    /// # Errors
    /// [`EditorError::Document`]; the editor must not be used any further.
    pub fn next_local(&mut self) -> Result<Option<(u32, Vec<u8>)>, EditorError> {
        loop {
            match self.schedule.step() {
                Step::Merge(txn) => {
                    if !self.merge(txn)? {
                        return Ok(None);
                    }
                    self.schedule.done();
                }
                Step::Type(txn) => {
                    let patches = &self.trace.txns[txn as usize].patches;
                    let update = self.document.apply_local(patches);
                    let update = update.map_err(|source| EditorError::Document { txn, source })?;
                    self.places[txn as usize] = Place::Typed;
                    self.schedule.done();
                    return Ok(Some((txn, update)));
                }
                Step::Rest => return Ok(None),
            }
        }
    }

    /// Whether every own transaction has been typed.
    pub fn has_typed_all(&self) -> bool {
        self.schedule.step() == Step::Rest
    }

    /// Whether every own transaction has been typed and every one of the trace has
    /// arrived, the own ones included.
    pub fn has_received_all(&self) -> bool {
        self.arrivals.own + self.arrivals.remote == self.places.len()
    }

    /// Arrivals so far.
    pub fn arrivals(&self) -> Arrivals {
        self.arrivals
    }

    /// The text as this editor's user sees it now, without what is held back.
    pub fn text(&self) -> String {
        self.document.text()
    }

    /// Ends the session: merges everything held and returns the text. Own
    /// transactions need not have come back.
    ///
    /// # Errors
    /// [`EditorError::Missing`] when an own transaction was not typed or another's
    /// has not arrived; [`EditorError::Document`] when an update is broken.
    pub fn finish(mut self) -> Result<String, EditorError> {
        let absent = |(place, _): &(&Place, u32)| matches!(place, Place::Absent);
        let mut absent = self.places.iter().zip(0u32..).filter(absent);
        if let Some((_, txn)) = absent.next() {
            return Err(EditorError::Missing {
                txn,
                missing: 1 + absent.count(),
            });
        }
        for txn in 0..self.places.len() as u32 {
            self.merge(txn)?;
        }
        Ok(self.document.text())
    }

    /// Merges a transaction if it is held; says whether it is in the text now.
    fn merge(&mut self, txn: u32) -> Result<bool, EditorError> {
        let place = &mut self.places[txn as usize];
        match place {
            Place::Absent => Ok(false),
            Place::Typed | Place::Merged => Ok(true),
            Place::Held(update) => {
                let merged = self.document.apply_remote(update);
                merged.map_err(|source| EditorError::Document { txn, source })?;
                *place = Place::Merged;
                Ok(true)
            }
        }
    }
}
