//! One lane of one stream: what is ready goes in one atomic batch, one commit at a
//! time. Under load that is one sync of the disk for hundreds of events; when idle a
//! single event is a plain publish.
//!
//! Owns the lane's queue. Nothing is waited for to fill a batch.

use std::collections::HashSet;
use std::sync::Arc;

use protocol::service::bus::BusError;
use tokio::sync::mpsc;

use super::job::Job;
use super::{Publisher, refusal};
use crate::metrics::meters;

/// Most events of a commit: larger ones gain little and delay the first of them.
const COMMIT_EVENTS_MAX: usize = 256;
/// Bytes after which a commit is full.
const COMMIT_BYTES_MAX: usize = 1 << 20;

/// Commits the lane's events until the node stops; what is left is answered.
pub async fn run(publisher: Arc<Publisher>, mut jobs: mpsc::Receiver<Job>) {
    let mut ready = Vec::new();
    loop {
        // Cancel safe: jobs that were not taken stay queued, and answer for themselves
        // when the queue is dropped.
        tokio::select! {
            () = publisher.stop.triggered() => return,
            count = jobs.recv_many(&mut ready, COMMIT_EVENTS_MAX) => {
                if count == 0 {
                    return;
                }
            }
        }
        let mut left = ready.drain(..).peekable();
        while left.peek().is_some() {
            let (mut batch, mut bytes) = (Vec::new(), 0);
            while let Some(job) =
                left.next_if(|job| batch.is_empty() || bytes + size(job) <= COMMIT_BYTES_MAX)
            {
                // Admitted now, after everything before has been decided.
                if let Some(job) = job.admitted() {
                    bytes += size(&job);
                    batch.push(job);
                }
            }
            commit(&publisher, batch).await;
        }
    }
}

fn size(job: &Job) -> usize {
    job.draft.payload.len()
}

async fn commit(publisher: &Publisher, mut batch: Vec<Job>) {
    meters().batch_events.record(batch.len() as f64);
    if batch.len() <= 1 {
        if let Some(job) = batch.pop() {
            publisher.store_single(job).await;
        }
        return;
    }
    if !distinct(&batch) {
        return singly(publisher, batch).await;
    }
    publisher.faults.hit("edge.before_publish");
    match publisher
        .bus
        .commit_batch(batch.iter().map(|job| job.outgoing(None)).collect())
        .await
    {
        Ok(ack) => {
            publisher.faults.hit("edge.after_puback");
            for (seq, job) in (ack.first_seq..).zip(batch) {
                let published = job.published(seq, false);
                job.answer(Ok(published));
            }
        }
        // One event of the batch is the reason, and the others must not suffer for it.
        Err(error) if is_of_one(&error) => singly(publisher, batch).await,
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
async fn singly(publisher: &Publisher, batch: Vec<Job>) {
    for job in batch {
        if let Some(job) = job.admitted() {
            publisher.store_single(job).await;
        }
    }
}
