//! Key-value buckets, over the same publishes and reads as events: reads come from
//! the leader, changes are compare-and-set. Owns no state.

use std::collections::{BTreeMap, VecDeque};
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

mod latest;

pub use latest::{KvEntry, is_deletion};

/// Marks a deletion, as NATS's own clients do.
const OPERATION: &str = "KV-Operation";
/// The operation of a deletion.
const DELETE: &str = "DEL";
/// Changes read at a time by a watch.
const WATCH_BATCH: usize = 256;
/// How often a watch that begins on a copy which lags asks the leader again how far it
/// has to come: often enough to be unnoticed, and only until it is there.
const CATCH_UP_LOOK: Duration = Duration::from_millis(100);
/// Bytes read at a time by a watch.
const WATCH_BYTES: usize = 4 << 20;
/// Longest key, in bytes: a node's part of the longest channel of the longest tenant, in
/// the longest store, has 355.
const KEY_BYTES_MAX: usize = 384;

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
    /// The key; empty, with no value and revision 0, in the one change that tells nothing
    /// but that the beginning is told: of an empty bucket, say.
    pub key: String,
    /// The value; `None`: deleted.
    pub value: Option<Bytes>,
    /// The revision of this change.
    pub revision: u64,
    /// Everything that the leader had when the watch began has been told, this included.
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
    /// which they were written: at least what the leader had when this was called. Each
    /// copy lets go of what ends by its own clock, so an entry that [`Self::get`] no longer
    /// finds may be listed for a moment longer.
    ///
    /// # Errors
    /// Those of a request. Cancel safe.
    pub async fn entries(&self) -> Result<Vec<(String, Bytes, u64)>, BusError> {
        let mut watch = self.watch_all().await?;
        // A copy that lags may tell of a key more than once.
        let mut entries = BTreeMap::new();
        // The watch repairs itself without end, a caller of this does not wait so long.
        let read = timeout(PUBLISH_TIMEOUT, async {
            while let Some(change) = watch.next().await {
                match change.value {
                    Some(value) => drop(entries.insert(change.key, (value, change.revision))),
                    None => drop(entries.remove(&change.key)),
                }
                if change.initial_done {
                    return true;
                }
            }
            false
        });
        match read.await {
            Ok(true) => {
                let entries = entries.into_iter();
                let mut entries: Vec<_> = entries
                    .map(|(key, (value, revision))| (key, value, revision))
                    .collect();
                entries.sort_by_key(|(_, _, revision)| *revision);
                Ok(entries)
            }
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
        // Before the reader: whatever copy it reads, it has to come as far as this.
        let last = self.bus.leader_last(&stream(self.bucket), &filter).await?;
        let reader = self
            .bus
            .raw_reader(
                &stream(self.bucket),
                Some(filter.clone()),
                Start::LastPerSubject,
                options,
            )
            .await?;
        let mut state = Watching {
            bus: self.bus.clone(),
            stream: stream(self.bucket),
            filter,
            prefix,
            reader,
            until: None,
            seen: 0,
            ready: VecDeque::new(),
        };
        state.begins_with(last.map_or(0, |last| last.seq));
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
        let headers: &[_] = if delete { &[(OPERATION, DELETE)] } else { &[] };
        self.bus.write(subject, headers, value, revision).await
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
    bus: Bus,
    stream: String,
    filter: String,
    /// Length of what stands before a key in a subject.
    prefix: usize,
    reader: Reader,
    /// The last revision of the beginning, until it is told.
    until: Option<u64>,
    /// The last revision that was read.
    seen: u64,
    ready: VecDeque<KvChange>,
}

impl Watching {
    async fn next(&mut self) -> Option<KvChange> {
        while self.ready.is_empty() {
            let batch = match self.until {
                None => self.reader.next_batch().await,
                Some(_) => match timeout(CATCH_UP_LOOK, self.reader.next_batch()).await {
                    Ok(batch) => batch,
                    Err(_) => {
                        self.look().await;
                        continue;
                    }
                },
            };
            match batch {
                Ok(batch) => batch.into_iter().for_each(|entry| self.take(entry)),
                Err(error) => {
                    tracing::error!(%error, "watch of a bucket ends");
                    return None;
                }
            }
        }
        self.ready.pop_front()
    }

    fn take(&mut self, entry: Stored) {
        self.seen = entry.seq;
        let initial_done = self.until.is_none_or(|until| entry.seq >= until);
        if initial_done {
            self.until = None;
        }
        let key = entry.subject.get(self.prefix..).unwrap_or_default();
        self.ready.push_back(KvChange {
            key: key.to_owned(),
            revision: entry.seq,
            value: live(entry).map(|(value, _)| value),
            initial_done,
        });
    }

    /// Asks the leader anew: what was the last entry may have ended since, and then no
    /// copy will ever show it.
    async fn look(&mut self) {
        match self.bus.leader_last(&self.stream, &self.filter).await {
            Ok(last) => self.begins_with(last.map_or(0, |last| last.seq)),
            Err(error) => tracing::debug!(%error, "how far a bucket goes is not known"),
        }
    }

    /// The beginning ends with this revision, or with an earlier one that was the last.
    fn begins_with(&mut self, last: u64) {
        if last > self.seen {
            self.until = Some(last);
            return;
        }
        self.until = None;
        self.ready.push_back(KvChange {
            key: String::new(),
            value: None,
            revision: 0,
            initial_done: true,
        });
    }
}
