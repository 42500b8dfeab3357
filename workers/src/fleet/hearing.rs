//! Follows what all workers say of themselves, and which lane is whose.
//!
//! Owns the two watches, and begins one that ends anew. Hands on what concerns its store,
//! through a bounded queue: when it is full the watches wait, and the bucket keeps the
//! last value of each key.

use std::time::Duration;

use bus::{Kv, KvChange};
use futures_util::StreamExt;
use protocol::name::StoreName;
use protocol::report::{LaneClaim, WorkerReport, parse_claim_key, worker_key};
use tokio::sync::mpsc;

use super::state::Key;
use service::backoff::Backoff;

/// What waits to be taken in. Policy: the watches wait.
const HEARD_MAX: usize = 256;
/// First and longest wait before a watch is begun anew.
const WAIT_FIRST: Duration = Duration::from_millis(200);
const WAIT_LONGEST: Duration = Duration::from_secs(5);

/// What was heard.
#[derive(Debug)]
pub enum Heard {
    /// A worker says how it is.
    Report(WorkerReport),
    /// A worker, by name, has taken its report back.
    Left(String),
    /// A lane's claim was written, or (`None`) deleted, under this revision.
    Claim(Key, Option<LaneClaim>, u64),
    /// Everything has been told that was there when one of the two buckets was opened.
    Whole,
}

/// Begins to follow both buckets; ends when nobody listens any more.
pub fn follow(store: &StoreName, workers: Kv, lanes: Kv) -> mpsc::Receiver<Heard> {
    let (sender, heard) = mpsc::channel(HEARD_MAX);
    let of = store.clone();
    tokio::spawn(watch(workers, sender.clone(), move |change| {
        report(&of, change)
    }));
    let of = store.clone();
    tokio::spawn(watch(lanes, sender, move |change| claim(&of, change)));
    heard
}

async fn watch(bucket: Kv, sender: mpsc::Sender<Heard>, read: impl Fn(&KvChange) -> Option<Heard>) {
    let mut backoff = Backoff::new(WAIT_FIRST, WAIT_LONGEST);
    loop {
        match bucket.watch_all().await {
            Ok(mut changes) => {
                backoff = Backoff::new(WAIT_FIRST, WAIT_LONGEST);
                // Cancel safe: a watch keeps its place.
                while let Some(change) = tokio::select! {
                    change = changes.next() => change,
                    () = sender.closed() => return,
                } {
                    let told = read(&change).into_iter();
                    let whole = change.initial_done.then_some(Heard::Whole);
                    for heard in told.chain(whole) {
                        if sender.send(heard).await.is_err() {
                            return;
                        }
                    }
                }
            }
            Err(error) => tracing::debug!(%error, "workers cannot be followed yet"),
        }
        backoff.wait().await;
        if sender.is_closed() {
            return;
        }
    }
}

fn report(store: &StoreName, change: &KvChange) -> Option<Heard> {
    let name = change.key.strip_prefix(&worker_key(store, ""))?;
    let Some(value) = &change.value else {
        return Some(Heard::Left(name.to_owned()));
    };
    match serde_json::from_slice(value) {
        Ok(report) => Some(Heard::Report(report)),
        Err(error) => {
            tracing::warn!(key = change.key, %error, "the report of a worker is not readable");
            None
        }
    }
}

fn claim(store: &StoreName, change: &KvChange) -> Option<Heard> {
    let key = parse_claim_key(store, &change.key)?;
    let holder = change.value.as_deref().map(serde_json::from_slice);
    match holder.transpose() {
        Ok(holder) => Some(Heard::Claim(key, holder, change.revision)),
        Err(error) => {
            // Whoever wants the lane writes over it.
            tracing::warn!(key = change.key, %error, "the claim of a lane is not readable");
            Some(Heard::Claim(key, None, change.revision))
        }
    }
}
