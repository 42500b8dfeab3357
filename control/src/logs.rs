//! What functions have written into their logs, and write.
//!
//! Owns a reader's place. Lines come in the order in which the store took them, which for
//! several workers is about the order in which they were written.

use std::collections::VecDeque;

use bus::{Reader, ReaderOptions, Scan};
use futures_util::StreamExt;
use protocol::bus::Stored;
use protocol::log::LogLine;
use protocol::name::{FunctionName, StoreName};
use protocol::stream::StreamName;
use protocol::subject::Subject;

use crate::deployer::Deployer;
use crate::error::ControlError;

/// How new lines are read; a message holds some.
const READING: ReaderOptions = ReaderOptions {
    batch: 256,
    bytes_max: 1 << 20,
};

/// The lines of a log.
pub struct Logs {
    /// What was there when it was opened, until that is read.
    kept: Option<Scan>,
    /// What comes.
    coming: Option<Reader>,
    ready: VecDeque<LogLine>,
    unreadable: u64,
}

impl Deployer {
    /// The log of a function, or of all, from a time on (microseconds since 1970). With
    /// `follow` it goes on without end.
    ///
    /// # Errors
    /// Those of the bus. Cancel safe.
    pub async fn logs(
        &self,
        store: &StoreName,
        function: Option<&FunctionName>,
        since_us: u64,
        follow: bool,
    ) -> Result<Logs, ControlError> {
        let stream = StreamName::logs(store);
        let filter = match function {
            Some(function) => Subject::log(store, function),
            None => Subject::log_filter(store),
        };
        let last = self.bus.stream_state(&stream).await?.last_seq;
        let first = self.bus.first_since(&stream, &filter, since_us).await?;
        let kept = match first {
            Some(first) => Some(self.bus.scan(&stream, &filter, first, last).await),
            None => None,
        };
        let coming = match follow {
            true => {
                let reader = self.bus.reader(&stream, Some(&filter), last + 1, READING);
                Some(reader.await?)
            }
            false => None,
        };
        Ok(Logs {
            kept,
            coming,
            ready: VecDeque::new(),
            unreadable: 0,
        })
    }
}

impl Logs {
    /// The next line; `None` at the end. Cancel safe.
    ///
    /// # Errors
    /// Those of a reader.
    pub async fn next(&mut self) -> Result<Option<LogLine>, ControlError> {
        loop {
            if let Some(line) = self.ready.pop_front() {
                return Ok(Some(line));
            }
            if let Some(kept) = &mut self.kept {
                match kept.next().await {
                    Some(stored) => self.take(&stored?),
                    None => self.kept = None,
                }
                continue;
            }
            let Some(coming) = &mut self.coming else {
                return Ok(None);
            };
            for stored in coming.next_batch().await? {
                self.take(&stored);
            }
        }
    }

    /// Messages so far that are no lines, such as those of a later version; they are left
    /// out.
    pub fn unreadable(&self) -> u64 {
        self.unreadable
    }

    fn take(&mut self, stored: &Stored) {
        match serde_json::from_slice::<Vec<LogLine>>(&stored.payload) {
            Ok(lines) => self.ready.extend(lines),
            Err(_) => self.unreadable += 1,
        }
    }
}
