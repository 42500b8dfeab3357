//! The task of a feed: subscribe, mark, relay, repair, end.
//!
//! What is heard is known to the server before the mark is
//! taken from the stream's leader, so nothing falls between them.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bus::{Bus, BusError};
use chain::state::Repaired;
use tokio::time::Instant;

use super::ears::{Ears, Heard};
use super::relay::Feed;
use super::repair;
use super::sources::Sources;
use crate::core::delivery::Encoded;

/// How long a feed without subscribers goes on: a client that reconnects, or changes
/// back and forth between two channels, finds it open.
const LINGER: Duration = Duration::from_secs(5);
/// Wait before a failed read is tried again.
const RETRY: Duration = Duration::from_millis(200);

type Repair = Pin<Box<dyn Future<Output = Option<Repaired<Arc<Encoded>>>> + Send>>;

/// Why a feed's loop ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Nobody holds it, or the node stops.
    Unused,
    /// The store's epoch changed, or its stream has lost what was relayed.
    EpochChanged,
    /// The connection to NATS was closed.
    Closed,
}

/// Relays the channel until nobody wants it. `unlist` takes the feed off the list of
/// feeds if nobody holds it, and says whether it did.
pub async fn run(sources: &Sources, feed: &Arc<Feed>, unlist: impl Fn() -> bool) -> End {
    match open(sources, feed).await {
        Ok(ears) => relay(sources, feed, ears, unlist).await,
        Err(error) => {
            tracing::warn!(?feed, %error, "a channel cannot be relayed");
            End::Closed
        }
    }
}

async fn open(sources: &Sources, feed: &Feed) -> Result<Ears, BusError> {
    let bus = &sources.bus;
    let ears = Ears::open(sources, feed).await?;
    bus.flush().await?;
    let mark = bus
        .last_on(&feed.source.stream, &feed.source.subject)
        .await?;
    feed.open_at(mark.map_or(0, |event| event.seq));
    Ok(ears)
}

async fn relay(
    sources: &Sources,
    feed: &Arc<Feed>,
    mut ears: Ears,
    unlist: impl Fn() -> bool,
) -> End {
    let mut changes = sources.namespaces.changes();
    let mut repairing: Option<Repair> = None;
    let mut unused_since = None;
    loop {
        if repairing.is_none() && feed.missing().is_some() {
            repairing = Some(start_repair(sources.bus.clone(), feed.clone()));
        }
        if feed.is_rolled_back() {
            return End::EpochChanged;
        }
        if feed.is_unused() {
            unused_since.get_or_insert_with(Instant::now);
        } else {
            unused_since = None;
        }
        let linger = unused_since.map(|since| since + LINGER);
        // Every branch is cancel safe: messages, changes and wake-ups stay queued, and
        // the repair lives across turns.
        tokio::select! {
            () = sources.stop.triggered() => return End::Unused,
            heard = ears.next(&sources.faults, feed) => match heard {
                Heard::Stored(events) => feed.arrived(events),
                Heard::Fleeting(events) => feed.fleeted(&events),
                Heard::Closed => return End::Closed,
            },
            part = async { repairing.as_mut().expect("only while repairing").await }, if repairing.is_some() => {
                repairing = None;
                if let Some(part) = part {
                    feed.repaired(part);
                }
            }
            () = feed.attention.notified() => {}
            _ = changes.changed() => {
                let snapshot = sources.namespaces.snapshot();
                if snapshot.store(&feed.place.store).is_some_and(|store| store.epoch != feed.epoch) {
                    return End::EpochChanged;
                }
                if ears.adjust(sources, feed).await.is_err() {
                    return End::Closed;
                }
            }
            () = tokio::time::sleep_until(linger.unwrap_or_else(Instant::now)), if linger.is_some() => {
                if unlist() {
                    return End::Unused;
                }
                unused_since = None;
            }
        }
    }
}

fn start_repair(bus: Bus, feed: Arc<Feed>) -> Repair {
    Box::pin(async move {
        let missing = feed.missing()?;
        match repair::read(&bus, &feed.source, missing).await {
            Ok(part) => Some(part),
            Err(error) => {
                tracing::debug!(?feed, %error, "a repair is tried again");
                tokio::time::sleep(RETRY).await;
                None
            }
        }
    })
}
