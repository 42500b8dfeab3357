//! Key-value buckets, over the same publishes and reads as events: reads come from
//! the leader, changes are compare-and-set. Owns no state.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use tokio::time::timeout;

use crate::bus::Bus;
use crate::error::BusError;
use crate::following::{ReaderOptions, Start};
use crate::limits::PUBLISH_TIMEOUT;
use crate::reader::Reader;
use protocol::bus::Stored;
use protocol::stream::Bucket;

/// Marks a deletion, as NATS's own clients do.
const OPERATION: &str = "KV-Operation";
/// Changes read at a time by a watch.
const WATCH_BATCH: usize = 256;
/// Bytes read at a time by a watch.
const WATCH_BYTES: usize = 4 << 20;
/// Longest key, in bytes.
const KEY_BYTES_MAX: usize = 256;

/// A bucket.
#[derive(Debug, Clone)]
pub struct Kv {
    bus: Bus,
    bucket: &'static str,
    max_age: Duration,
}

/// What changed in a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KvChange {
    /// The key; empty, with no value and revision 0, in the one change that an empty
    /// bucket starts with.
    pub key: String,
    /// The value; `None`: deleted.
    pub value: Option<Bytes>,
    /// The revision of this change.
    pub revision: u64,
    /// Everything that was there when the watch began has been told, this included.
    pub initial_done: bool,
}

impl Bus {
    /// Opens a bucket.
    ///
    /// # Errors
    /// [`BusError::NotFound`] if the bootstrap has not run; those of a request.
    pub async fn kv(&self, bucket: Bucket) -> Result<Kv, BusError> {
        let bucket = bucket.as_str();
        let max_age = self.describe(&stream(bucket)).await?.max_age();
        Ok(Kv {
            bus: self.clone(),
            bucket,
            max_age,
        })
    }
}

fn stream(bucket: &str) -> String {
    format!("KV_{bucket}")
}

/// A value and its revision; `None` for a deletion.
fn live(entry: Stored) -> Option<(Bytes, u64)> {
    entry
        .headers
        .get(OPERATION)
        .is_none()
        .then_some((entry.payload, entry.seq))
}

impl Kv {
    /// How long an entry is kept; zero: for ever.
    pub fn max_age(&self) -> Duration {
        self.max_age
    }

    fn subject(&self, key: &str) -> Result<String, BusError> {
        let fine = |b: u8| b.is_ascii_alphanumeric() || b"-_=./".contains(&b);
        let shape = !key.is_empty()
            && key.len() <= KEY_BYTES_MAX
            && key.split('.').all(|token| !token.is_empty());
        if !shape || !key.bytes().all(fine) {
            return Err(BusError::Key {
                key: key.chars().take(KEY_BYTES_MAX).collect(),
            });
        }
        Ok(format!("$KV.{}.{key}", self.bucket))
    }

    async fn last(&self, key: &str) -> Result<Option<Stored>, BusError> {
        let subject = self.subject(key)?;
        self.bus.leader_last(&stream(self.bucket), &subject).await
    }

    /// A key's value and revision, from the leader.
    ///
    /// # Errors
    /// [`BusError::Key`]; those of a request. Cancel safe.
    pub async fn get(&self, key: &str) -> Result<Option<(Bytes, u64)>, BusError> {
        Ok(self.last(key).await?.and_then(live))
    }

    /// Sets a key, whatever it holds; returns the revision.
    ///
    /// # Errors
    /// [`BusError::Key`]; those of a publish.
    pub async fn put(&self, key: &str, value: Bytes) -> Result<u64, BusError> {
        self.write(key, value, None, false).await
    }

    /// Sets a key that does not exist, or no more; returns the revision.
    ///
    /// # Errors
    /// [`BusError::Exists`]; otherwise as [`Self::put`].
    pub async fn create(&self, key: &str, value: Bytes) -> Result<u64, BusError> {
        match self.write(key, value.clone(), Some(0), false).await {
            Err(BusError::GuardRefused) => {}
            outcome => return outcome,
        }
        // A deleted key has a revision too, that of its deletion.
        let revision = match self.last(key).await? {
            Some(entry) if entry.headers.get(OPERATION).is_none() => return Err(BusError::Exists),
            Some(entry) => entry.seq,
            None => 0,
        };
        self.write(key, value, Some(revision), false)
            .await
            .map_err(|error| guard(error, BusError::Exists))
    }

    /// Sets a key that has this revision; returns the new one.
    ///
    /// # Errors
    /// [`BusError::Conflict`]; otherwise as [`Self::put`].
    pub async fn update(&self, key: &str, value: Bytes, revision: u64) -> Result<u64, BusError> {
        self.write(key, value, Some(revision), false)
            .await
            .map_err(|error| guard(error, BusError::Conflict))
    }

    /// Deletes a key that has this revision.
    ///
    /// # Errors
    /// [`BusError::Conflict`]; otherwise as [`Self::put`].
    pub async fn delete(&self, key: &str, revision: u64) -> Result<(), BusError> {
        let deleted = self.write(key, Bytes::new(), Some(revision), true).await;
        deleted
            .map(|_| ())
            .map_err(|error| guard(error, BusError::Conflict))
    }

    /// The keys that hold a value now.
    ///
    /// # Errors
    /// Those of a request.
    pub async fn keys(&self) -> Result<Vec<String>, BusError> {
        let entries = self.entries().await?;
        Ok(entries.into_iter().map(|(key, ..)| key).collect())
    }

    /// Everything that the bucket holds now: keys, values and revisions, in the order in
    /// which they were written. Any copy of the bucket may answer, and each lets go of
    /// what ends by its own clock: an entry that [`Self::get`] no longer finds may be
    /// listed for a moment longer.
    ///
    /// # Errors
    /// Those of a request. Cancel safe.
    pub async fn entries(&self) -> Result<Vec<(String, Bytes, u64)>, BusError> {
        let mut watch = self.watch_all().await?;
        let mut entries = Vec::new();
        // The watch repairs itself without end, a caller of this does not wait so long.
        let read = timeout(PUBLISH_TIMEOUT, async {
            while let Some(change) = watch.next().await {
                if let Some(value) = change.value {
                    entries.push((change.key, value, change.revision));
                }
                if change.initial_done {
                    return true;
                }
            }
            false
        });
        match read.await {
            Ok(true) => Ok(entries),
            Ok(false) => Err(BusError::NotFound),
            Err(_) => Err(BusError::Timeout),
        }
    }

    /// Watches all keys: first what is there, then every change. Goes on across
    /// breaks of the connection and misses no last value; ends only if the bucket is
    /// removed.
    ///
    /// # Errors
    /// Those of a request.
    pub async fn watch_all(&self) -> Result<KvWatch, BusError> {
        let filter = format!("$KV.{}.>", self.bucket);
        let prefix = filter.len() - 1;
        let options = ReaderOptions {
            batch: WATCH_BATCH,
            bytes_max: WATCH_BYTES,
        };
        let reader = self
            .bus
            .raw_reader(
                &stream(self.bucket),
                Some(filter),
                Start::LastPerSubject,
                options,
            )
            .await?;
        let left = reader.pending();
        let first = (left == 0).then(|| KvChange {
            key: String::new(),
            value: None,
            revision: 0,
            initial_done: true,
        });
        let state = Watching {
            reader,
            prefix,
            left,
            ready: first.into_iter().collect(),
        };
        Ok(KvWatch(Box::pin(futures_util::stream::unfold(
            state,
            |mut state| async move {
                let change = state.next().await?;
                Some((change, state))
            },
        ))))
    }

    async fn write(
        &self,
        key: &str,
        value: Bytes,
        revision: Option<u64>,
        delete: bool,
    ) -> Result<u64, BusError> {
        let subject = self.subject(key)?;
        let header = delete.then_some((OPERATION, "DEL"));
        self.bus.write(subject, header, value, revision).await
    }
}

fn guard(error: BusError, meaning: BusError) -> BusError {
    match error {
        BusError::GuardRefused => meaning,
        error => error,
    }
}

/// The changes of a bucket.
pub struct KvWatch(Pin<Box<dyn Stream<Item = KvChange> + Send>>);

impl Stream for KvWatch {
    type Item = KvChange;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<KvChange>> {
        self.0.as_mut().poll_next(cx)
    }
}

struct Watching {
    reader: Reader,
    /// Length of what stands before a key in a subject.
    prefix: usize,
    /// How many of the entries that were there at the start are still to be told.
    left: u64,
    ready: std::collections::VecDeque<KvChange>,
}

impl Watching {
    async fn next(&mut self) -> Option<KvChange> {
        while self.ready.is_empty() {
            let batch = match self.reader.next_batch().await {
                Ok(batch) => batch,
                Err(error) => {
                    tracing::error!(%error, "watch of a bucket ends");
                    return None;
                }
            };
            for entry in batch {
                self.left = self.left.saturating_sub(1);
                let key = entry
                    .subject
                    .get(self.prefix..)
                    .unwrap_or_default()
                    .to_owned();
                let (revision, value) = (entry.seq, live(entry).map(|(value, _)| value));
                self.ready.push_back(KvChange {
                    key,
                    value,
                    revision,
                    initial_done: self.left == 0,
                });
            }
        }
        self.ready.pop_front()
    }
}
