//! A history that several tasks feed at once.
//!
//! State: one [`History`] behind a mutex, shared by every clone of the [`Recorder`].
//! Must not know: who feeds it. The lock is held for one append, never across an await.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::history::{History, Record};
use crate::report::Report;

/// A shared history; clones feed the same one. Unbounded on purpose: a test owns its length.
#[derive(Debug, Clone, Default)]
pub struct Recorder {
    history: Arc<Mutex<History>>,
}

impl Recorder {
    /// An empty history.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends one record.
    pub fn record(&self, record: impl Into<Record>) {
        self.lock().push(record);
    }

    /// Appends many records under one lock, so that no other task's record comes between.
    pub fn extend<R: Into<Record>>(&self, records: impl IntoIterator<Item = R>) {
        let mut history = self.lock();
        for record in records {
            history.push(record);
        }
    }

    /// Reads or changes the history under the lock, for instance to count acknowledgements.
    pub fn with<T>(&self, read: impl FnOnce(&mut History) -> T) -> T {
        read(&mut self.lock())
    }

    /// A copy of what has been recorded so far.
    pub fn snapshot(&self) -> History {
        self.lock().clone()
    }

    /// Judges a copy of what has been recorded so far, without holding the lock meanwhile.
    pub fn check(&self) -> Report {
        self.snapshot().check()
    }

    /// A task that panicked while recording leaves whole records behind, so the lock's poison
    /// says nothing about the history.
    fn lock(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
