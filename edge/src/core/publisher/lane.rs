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

use super::answer::refusal;
use super::job::{Job, Line};
use super::store::Store;
use super::turns::{BATCH_MIN, Turn, Turns, Waiting};
use crate::core::metrics::meters;
use shares::queue::Queue;

/// Commits the lane's events until the node stops; what is left is answered.
pub async fn run(store: Arc<Store>, jobs: Arc<Queue<Job>>) {
    let mut turns = Turns::default();
    let mut singles = FuturesUnordered::new();
    loop {
        match turns.next() {
            // Admitted now, after everything before on its line has been decided.
            Turn::Single(job) => singles.push(single(&store, job)),
            Turn::Batch(batch) => commit(&store, batch).await,
            Turn::None => {
                let room = turns.room();
                // Cancel safe: jobs that were not taken stay queued; singles stay under way.
                tokio::select! {
                    () = store.stop.triggered() => break,
                    Some(line) = singles.next() => turns.done(&line),
                    ready = jobs.next(room), if room > 0 => turns.push(ready),
                }
            }
        }
    }
    // They answer for themselves.
    drop(jobs.close());
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

/// Stores many events. Where one of them is the reason why the others are not stored with
/// it, the batch is halved until few are left, and those are stored singly: so one event
/// costs the others some batches, and not a publish each.
async fn commit(store: &Store, waiting: Vec<Job>) {
    let mut parts = vec![waiting];
    while let Some(part) = parts.pop() {
        // Admitted now: what an earlier part has refused holds back what is behind it.
        let batch: Vec<Job> = part.into_iter().filter_map(Job::admitted).collect();
        match together(store, batch).await {
            Ok(()) => {}
            Err(Apart::Halves(mut batch)) => {
                let rest = batch.split_off(batch.len() / 2);
                parts.extend([rest, batch]);
            }
            Err(Apart::Singles(batch)) => beside(store, batch).await,
        }
    }
}

/// What is not stored together.
enum Apart {
    /// Smaller batches may be.
    Halves(Vec<Job>),
    /// One by one.
    Singles(Vec<Job>),
}

impl Apart {
    fn of(batch: Vec<Job>) -> Self {
        if batch.len() < 2 * BATCH_MIN {
            Self::Singles(batch)
        } else {
            Self::Halves(batch)
        }
    }
}

/// Stores a batch as one and answers for it.
///
/// # Errors
/// Nothing of it was stored; how it may be.
async fn together(store: &Store, batch: Vec<Job>) -> Result<(), Apart> {
    if batch.len() <= 1 {
        return Err(Apart::Singles(batch));
    }
    if !distinct(&batch) {
        return Err(Apart::of(batch));
    }
    meters().batch_events.record(batch.len() as f64);
    store.faults.hit("edge.before_publish");
    let outgoing = batch.iter().map(|job| job.outgoing(None)).collect();
    match store.bus.commit_batch_unless_busy(outgoing).await {
        Ok(ack) => {
            store.faults.hit("edge.after_puback");
            for (seq, job) in (ack.first_seq..).zip(batch) {
                let published = job.published(seq, false);
                job.answer(Ok(published));
            }
        }
        Err(error) if is_of_one(&error) => return Err(Apart::of(batch)),
        // Others have as many batches open as the stream takes; it takes single events.
        Err(BusError::BatchBusy) => return Err(Apart::Singles(batch)),
        Err(error) => {
            let error = refusal(&error);
            batch
                .into_iter()
                .for_each(|job| job.answer(Err(error.clone())));
        }
    }
    Ok(())
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

/// Stores events singly: those of one writer and channel in order, a failure holding back
/// the later ones, and the lines beside each other.
async fn beside(store: &Store, batch: Vec<Job>) {
    let mut lines: Vec<(Line, Vec<Job>)> = Vec::new();
    for job in batch {
        let line = job.line();
        match lines.iter_mut().find(|(known, _)| *known == line) {
            Some((_, jobs)) => jobs.push(job),
            None => lines.push((line, vec![job])),
        }
    }
    let lines = lines.into_iter().map(|(_, jobs)| async move {
        for job in jobs {
            single(store, job).await;
        }
    });
    let under_way = futures_util::stream::iter(lines).buffer_unordered(BATCH_MIN);
    under_way.collect::<()>().await;
}

#[cfg(test)]
mod tests;
