//! How a reader is asked for: plain data, the same for every backend.

use crate::error::BusError;
use crate::limits::READER_BATCH_MAX;

/// How much a reader may hold: twice this waits in the connection at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReaderOptions {
    /// Events of a pull request, and most events of a batch; 1 to [`READER_BATCH_MAX`].
    pub batch: usize,
    /// Bytes of a pull request; raised to what the largest payload needs.
    pub bytes_max: usize,
}

impl ReaderOptions {
    /// Checks the limit.
    ///
    /// # Errors
    /// [`BusError::Limit`].
    pub(crate) fn check(&self) -> Result<(), BusError> {
        if (1..=READER_BATCH_MAX).contains(&self.batch) {
            return Ok(());
        }
        Err(BusError::Limit {
            field: "batch",
            value: self.batch,
            max: READER_BATCH_MAX,
        })
    }
}

/// Where a reader starts when it has read nothing yet.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Start {
    /// At this sequence.
    Seq(u64),
    /// The last message of each subject, then everything new.
    LastPerSubject,
}
