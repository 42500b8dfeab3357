//! Writes this node's parts, and wakes channels when they are due.
//!
//! Owns the writes that are under way. Nothing is written before the node's own sign of
//! life is stored: what belongs to nobody would be tidied up by nobody.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bus::BusError;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use protocol::presence::{NodeId, Part};
use protocol::subject::presence::part_key;
use service::shutdown::Shutdown;
use tokio::time::{Instant, timeout};

use super::hall::{Hall, Job};
use super::lifecycle;
use super::presences::Presences;
use crate::core::metrics::meters;

/// Writes that are under way. Policy: further ones wait, one for each channel.
const WRITES_MAX: usize = 64;
/// How long writes may take to end once the node stops.
const STOP_TIMEOUT: Duration = Duration::from_millis(500);
/// Between two looks while nothing is due.
const IDLE: Duration = Duration::from_secs(3_600);

/// Writes until the node stops.
pub(super) async fn run(presences: Arc<Presences>, stop: Shutdown) {
    let mut writes = FuturesUnordered::new();
    let mut name = presences.name.subscribe();
    let mut connected = presences.bus.connected();
    loop {
        let node = name.borrow_and_update().clone();
        if let Some(node) = node.filter(|_| *connected.borrow_and_update()) {
            while writes.len() < WRITES_MAX
                && let Some((hall, job)) = presences.agenda.next_job()
            {
                writes.push(write(&presences, node.clone(), hall, job));
            }
        }
        let next = presences.agenda.next_time();
        let next = next.unwrap_or_else(|| Instant::now() + IDLE);
        // Every branch is cancel safe: jobs, times and values stay, writes live across
        // turns.
        tokio::select! {
            () = stop.triggered() => break,
            Some((hall, stored)) = writes.next(), if !writes.is_empty() => {
                presences.turn(&hall, |inside| inside.room.wrote(stored, Instant::now()));
                presences.tidy(&hall);
            }
            () = presences.agenda.woken() => {}
            _ = name.changed() => {}
            _ = connected.changed() => {}
            () = tokio::time::sleep_until(next) => {
                let now = Instant::now();
                while let Some(hall) = presences.agenda.next_due(now) {
                    presences.turn(&hall, |_| ());
                }
            }
        }
    }
    let rest = async { while writes.next().await.is_some() {} };
    // What is left is removed by key, or by whoever finds this node dead.
    let _ = timeout(STOP_TIMEOUT, rest).await;
    presences.quiet.send_replace(true);
}

async fn write(
    presences: &Arc<Presences>,
    node: NodeId,
    hall: Arc<Hall>,
    job: Job,
) -> (Arc<Hall>, bool) {
    let key = part_key(&node, &hall.store, &hall.key.tenant, &hall.key.channel);
    let written = put(presences, (&hall, &key), job).await;
    if let Err(error) = &written {
        meters().presence_write_failures.increment(1);
        tracing::debug!(key, %error, "who is on a channel is written again");
    } else {
        meters().presence_writes.increment(1);
    }
    // Under a name that is no more it would be found by nobody.
    if presences.name.borrow().as_ref() != Some(&node)
        && let Ok(kv) = presences.kv()
    {
        let _ = kv.remove(&key, None).await;
    }
    (hall, written.is_ok())
}

async fn put(
    presences: &Arc<Presences>,
    (hall, key): (&Hall, &str),
    job: Job,
) -> Result<(), BusError> {
    let kv = presences.kv()?;
    match job {
        Job::Write(part) => {
            kv.put(key, part.to_bytes().into()).await?;
            if !hall.told.load(Ordering::Relaxed) {
                lifecycle::settle(presences, &hall.key).await?;
                hall.told.store(true, Ordering::Relaxed);
            }
            Ok(())
        }
        Job::Remove => {
            hall.told.store(false, Ordering::Relaxed);
            if lifecycle::is_told(&presences.namespaces.snapshot(), &hall.key) {
                // The key stays until it has been told that nobody is there: whoever finds
                // this node dead meanwhile tells it by that.
                kv.put(key, Part::nobody().to_bytes().into()).await?;
                lifecycle::settle(presences, &hall.key).await?;
            }
            kv.remove(key, None).await
        }
    }
}
