//! One lane of one stream: drives its turns. A few events that are ready are stored
//! singly, beside each other; many go in one atomic batch, one at a time, which under
//! load is one commit for hundreds of events. Nothing is waited for to fill a batch.
//!
//! Owns the lane's queue. What is stored how is decided by [`super::turns`].

use std::collections::HashSet;
use std::sync::Arc;

use bus::BusError;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;

use super::answer::refusal;
use super::job::{Job, Line};
use super::store::Store;
use super::turns::{BATCH_MAX, Turn, Turns, Waiting};
use crate::core::metrics::meters;

/// Commits the lane's events until the node stops; what is left is answered.
pub async fn run(store: Arc<Store>, mut jobs: mpsc::Receiver<Job>) {
    let mut turns = Turns::default();
    let mut singles = FuturesUnordered::new();
    let mut ready = Vec::with_capacity(BATCH_MAX);
    loop {
        match turns.next() {
            // Admitted now, after everything before on its line has been decided.
            Turn::Single(job) => singles.push(single(&store, job)),
            Turn::Batch(batch) => commit(&store, batch).await,
            Turn::None => {
                let room = turns.room();
                // Cancel safe: jobs that were not taken stay queued, and answer for
                // themselves when the queue is dropped; singles stay under way.
                tokio::select! {
                    () = store.stop.triggered() => break,
                    Some(line) = singles.next() => turns.done(&line),
                    count = jobs.recv_many(&mut ready, room), if room > 0 => {
                        if count == 0 {
                            break;
                        }
                        turns.push(ready.drain(..));
                    }
                }
            }
        }
    }
    while singles.next().await.is_some() {}
}

async fn single(store: &Store, job: Job) -> Line {
    let line = job.line();
    if let Some(job) = job.admitted() {
        meters().batch_events.record(1.0);
        store.store_single(job).await;
    }
    line
}

async fn commit(store: &Store, waiting: Vec<Job>) {
    let batch: Vec<Job> = waiting.into_iter().filter_map(Job::admitted).collect();
    if batch.len() <= 1 || !distinct(&batch) {
        return one_by_one(store, batch).await;
    }
    meters().batch_events.record(batch.len() as f64);
    store.faults.hit("edge.before_publish");
    match store
        .bus
        .commit_batch_unless_busy(batch.iter().map(|job| job.outgoing(None)).collect())
        .await
    {
        Ok(ack) => {
            store.faults.hit("edge.after_puback");
            for (seq, job) in (ack.first_seq..).zip(batch) {
                let published = job.published(seq, false);
                job.answer(Ok(published));
            }
        }
        // One event of the batch is the reason, and the others must not suffer for it.
        Err(error) if is_of_one(&error) => one_by_one(store, batch).await,
        // Others have as many batches open as the stream takes; it takes single events.
        Err(BusError::BatchBusy) => one_by_one(store, batch).await,
        Err(error) => {
            let error = refusal(&error);
            batch
                .into_iter()
                .for_each(|job| job.answer(Err(error.clone())));
        }
    }
}

/// Whether nothing was stored because of something that one event of the batch is.
fn is_of_one(error: &BusError) -> bool {
    !error.temporary() && !error.outcome_unknown()
}

/// A batch may not hold one id twice.
fn distinct(batch: &[Job]) -> bool {
    let ids: HashSet<_> = batch.iter().map(|job| job.draft.id.as_str()).collect();
    ids.len() == batch.len()
}

/// Stores a batch's events one by one, in order; a failure holds back the later ones
/// of the same writer and channel.
async fn one_by_one(store: &Store, batch: Vec<Job>) {
    for job in batch {
        single(store, job).await;
    }
}

#[cfg(test)]
mod tests;
