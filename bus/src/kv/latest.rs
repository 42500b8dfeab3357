//! What a bucket holds under a filter, read at once, and entries that leave nothing
//! behind. Owns no state.

use bytes::Bytes;

use super::{DELETE, Kv, OPERATION, live, stream};
use crate::error::BusError;
use protocol::bus::Stored;

/// How long a deletion is remembered in the bucket: longer than any reader lags that is
/// told of it. A bucket that takes no such times keeps it.
const DELETED: (&str, &str) = ("Nats-TTL", "60s");
/// Bytes of a page of entries.
const PAGE_BYTES: usize = 4 << 20;

/// A key as a bucket holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KvEntry {
    /// The key.
    pub key: String,
    /// Its value; `None`: deleted.
    pub value: Option<Bytes>,
    /// The revision.
    pub revision: u64,
}

impl Kv {
    fn entry(&self, stored: Stored) -> KvEntry {
        let prefix = self.subjects("").len();
        KvEntry {
            key: stored.subject.get(prefix..).unwrap_or_default().to_owned(),
            revision: stored.seq,
            value: live(stored).map(|(value, _)| value),
        }
    }

    /// The subject of keys that need not be a name: a filter has wildcards.
    fn subjects(&self, filter: &str) -> String {
        format!("$KV.{}.{filter}", self.bucket)
    }

    /// Every key that a filter covers, deleted ones for as long as that is remembered, by
    /// revision; at most [`crate::LAST_EACH_MAX`]. One request, whatever there is;
    /// any copy may answer, so it may lack what was written last.
    ///
    /// # Errors
    /// [`BusError::Api`] if there are more; those of a request. Cancel safe.
    pub async fn latest(&self, filter: &str) -> Result<Vec<KvEntry>, BusError> {
        let (stream, filter) = (stream(self.bucket), self.subjects(filter));
        let entries = self.bus.last_each(&stream, &filter).await?.into_iter();
        Ok(entries.map(|stored| self.entry(stored)).collect())
    }

    /// The first keys that a filter covers from a revision on, at most so many, and whether
    /// there are more. For a bucket that keeps one value of each key.
    ///
    /// # Errors
    /// [`BusError::Limit`]; those of a request. Cancel safe.
    pub async fn page(
        &self,
        filter: &str,
        from: u64,
        limit: usize,
    ) -> Result<(Vec<KvEntry>, bool), BusError> {
        let (stream, filter) = (stream(self.bucket), self.subjects(filter));
        let run = self.bus.next_run(&stream, &filter, from, limit, PAGE_BYTES);
        let (entries, pending) = run.await?;
        let entries = entries.into_iter().map(|stored| self.entry(stored));
        Ok((entries.collect(), pending > 0))
    }

    /// The first key that a filter covers from a revision on, as the bucket's leader has it.
    ///
    /// # Errors
    /// Those of a request. Cancel safe.
    pub async fn first(&self, filter: &str, from: u64) -> Result<Option<KvEntry>, BusError> {
        let (stream, filter) = (stream(self.bucket), self.subjects(filter));
        let first = self.bus.leader_next(&stream, &filter, from).await?;
        Ok(first.map(|stored| self.entry(stored)))
    }

    /// Deletes a key, whatever it holds, or only if it has this revision. The bucket
    /// forgets the deletion itself after a while, if it takes such times.
    ///
    /// # Errors
    /// [`BusError::Conflict`]; otherwise as [`Self::put`].
    pub async fn remove(&self, key: &str, revision: Option<u64>) -> Result<(), BusError> {
        let subject = self.subject(key)?;
        let headers = [(OPERATION, DELETE), DELETED];
        let removed = self.bus.write(subject, &headers, Bytes::new(), revision);
        match removed.await {
            Ok(_) => Ok(()),
            Err(BusError::GuardRefused) => Err(BusError::Conflict),
            Err(error) => Err(error),
        }
    }
}

/// Whether a message of a bucket that was repeated by the server tells of a deletion.
pub fn is_deletion(message: &crate::Incoming) -> bool {
    message.headers.get(OPERATION).is_some()
}
