//! Follows the parts of other nodes on one channel, while somebody watches it.
//!
//! Owns the subscription. It is known to the server before the channel is read, so nothing
//! falls between them; what is lost on the way all the same, a later read brings.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bus::{BusError, Incoming, Kv, KvEntry, is_deletion};
use futures_util::{FutureExt, StreamExt};
use protocol::presence::{NodeId, Part};
use protocol::subject::Subject;
use protocol::subject::presence::{PRESENCE_PREFIX, node_key, node_of, parts_filter};

use super::hall::Hall;
use super::presences::Presences;
use crate::core::metrics::meters;

/// Wait before a channel is followed anew, or read again, after a failure.
const RETRY: Duration = Duration::from_millis(500);
/// Most parts taken in one go; what is ready is taken, nothing is waited for.
const RUN_MAX: usize = 256;

/// One node's part as a room takes it.
type Heard = (NodeId, u64, Option<Part>);

/// Follows a channel until it is aborted.
pub(super) async fn run(presences: Arc<Presences>, hall: Arc<Hall>) {
    loop {
        match follow(&presences, &hall).await {
            Ok(()) => return,
            Err(error) => tracing::debug!(?hall.key, %error, "a channel cannot be watched yet"),
        }
        tokio::time::sleep(RETRY).await;
    }
}

async fn follow(presences: &Arc<Presences>, hall: &Arc<Hall>) -> Result<(), BusError> {
    let (tenant, channel) = (&hall.key.tenant, &hall.key.channel);
    let subject = Subject::presence_parts(&hall.store, tenant, channel);
    let mut parts = presences.bus.subscribe(&subject).await?;
    presences.bus.flush().await?;
    hall.look(|inside| inside.room.follow());
    read(presences, hall).await?;
    hall.ready.send_replace(true);
    loop {
        // Both are cancel safe: messages and a wish stay.
        let first = tokio::select! {
            message = parts.next() => message,
            () = hall.wish.notified() => {
                if let Err(error) = read(presences, hall).await {
                    tracing::debug!(?hall.key, %error, "a channel is read again later");
                    tokio::time::sleep(RETRY).await;
                    hall.wish.notify_one();
                }
                continue;
            }
        };
        let Some(first) = first else {
            return Ok(());
        };
        let more = std::iter::from_fn(|| parts.next().now_or_never().flatten());
        let heard = std::iter::once(first).chain(more).take(RUN_MAX);
        let heard: Vec<Heard> = heard.filter_map(|message| of_message(&message)).collect();
        presences.turn(hall, |inside| {
            for (node, revision, part) in heard {
                inside.room.heard(node, revision, part);
            }
        });
    }
}

fn of_message(message: &Incoming) -> Option<Heard> {
    let place = message.republished?;
    let node = node_of(message.subject().strip_prefix(PRESENCE_PREFIX)?)?;
    let part = (!is_deletion(message)).then_some(&message.payload);
    Some((
        node,
        place.stream_seq,
        part.and_then(|part| Part::read(part)),
    ))
}

/// A part as the bucket holds it; `None`: the key is none of a node.
pub(super) fn of_entry(entry: &KvEntry) -> Option<Heard> {
    let part = entry.value.as_deref().and_then(Part::read);
    Some((node_of(&entry.key)?, entry.revision, part))
}

/// Takes in what the bucket holds of the channel.
async fn read(presences: &Arc<Presences>, hall: &Arc<Hall>) -> Result<(), BusError> {
    let _place = presences.reads.acquire().await;
    let kv = presences.kv()?;
    let filter = parts_filter(&hall.store, &hall.key.tenant, &hall.key.channel);
    let entries = kv.latest(&filter).await?;
    meters().presence_reads.increment(1);
    let own = presences.name.borrow().clone();
    let is_own = |node: &NodeId| Some(node) == own.as_ref();
    let heard: Vec<Heard> = entries.iter().filter_map(of_entry).collect();
    let found = heard
        .iter()
        .any(|(node, _, part)| is_own(node) && part.is_some());
    presences.turn(hall, |inside| {
        inside.room.read(heard);
        if own.is_some() {
            inside.room.found(found);
        }
    });
    let living = presences.living();
    let strange = |entry: &&KvEntry| {
        let node = node_of(&entry.key).filter(|node| !is_own(node) && !living.contains(node));
        node.is_some() && entry.value.is_some()
    };
    let strange = entries.iter().filter(strange);
    let strays: BTreeMap<String, u64> = strange
        .map(|entry| (entry.key.clone(), entry.revision))
        .collect();
    if !strays.is_empty() {
        presences.unknown.notify_one();
    }
    let before = hall.look(|inside| std::mem::replace(&mut inside.strays, strays.clone()));
    for (key, revision) in strays {
        if before.get(&key) == Some(&revision) {
            remove_stray(kv, &key, revision).await?;
        }
    }
    Ok(())
}

/// Removes a part that belongs to no node: written by one that stood still, under a name
/// that was tidied up after meanwhile. The bucket's leader says so.
async fn remove_stray(kv: &Kv, key: &str, revision: u64) -> Result<(), BusError> {
    let Some(node) = node_of(key) else {
        return Ok(());
    };
    if kv.get(&node_key(&node)).await?.is_some() {
        return Ok(());
    }
    match kv.remove(key, Some(revision)).await {
        Err(BusError::Conflict) => Ok(()),
        removed => removed,
    }
}
