//! The task of a feed: subscribe, mark, relay, repair, end.
//!
//! Owns the subscription. The subscription is known to the server before the mark is
//! taken from the stream's leader, so nothing falls between them.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bus::{Bus, BusError, Incoming, Subscription};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use protocol::class::Class;
use service::fault::Faults;
use service::shutdown::Shutdown;
use tokio::time::Instant;

use super::relay::Feed;
use super::repair;
use super::state::Repaired;
use crate::core::delivery::{Encoded, Relayed};
use crate::core::ephemeral::fleeting::Fleeting;
use crate::core::ephemeral::hearing::Hearing;
use crate::core::metrics::meters;
use crate::core::namespaces::Namespaces;

/// How long a feed without subscribers goes on: a client that reconnects, or changes
/// back and forth between two channels, finds it open.
const LINGER: Duration = Duration::from_secs(5);
/// Wait before a failed read is tried again.
const RETRY: Duration = Duration::from_millis(200);
/// Most events relayed in one go; what is ready is taken, nothing is waited for.
const RUN_EVENTS_MAX: usize = 256;

type Repair = Pin<Box<dyn Future<Output = Option<Repaired<Arc<Encoded>>>> + Send>>;

/// What the tasks of all feeds work with.
#[derive(Clone)]
pub struct Sources {
    /// Where events come from.
    pub bus: Bus,
    /// Tells of a new epoch.
    pub namespaces: Arc<Namespaces>,
    /// Test-only switches.
    pub faults: Faults,
    /// Ends every feed.
    pub stop: Shutdown,
}

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
        Ok(heard) => relay(sources, feed, heard, unlist).await,
        Err(error) => {
            tracing::warn!(?feed, %error, "a channel cannot be relayed");
            End::Closed
        }
    }
}

/// What a feed hears: what is stored, and what is not, with the header that holds its key.
type Heard = (Subscription, Hearing, Option<String>);

async fn open(sources: &Sources, feed: &Feed) -> Result<Heard, BusError> {
    let bus = &sources.bus;
    let subscription = bus.subscribe(&feed.fan).await?;
    let mut hearing = Hearing::default();
    let conflate = hear(sources, feed, &mut hearing).await?;
    bus.flush().await?;
    let mark = bus
        .last_on(&feed.source.stream, &feed.source.subject)
        .await?;
    feed.open_at(mark.map_or(0, |event| event.seq));
    Ok((subscription, hearing, conflate))
}

/// Hears the channel's ephemeral events if its namespace allows them now; the header by
/// which they are conflated.
async fn hear(
    sources: &Sources,
    feed: &Feed,
    hearing: &mut Hearing,
) -> Result<Option<String>, BusError> {
    let now = sources.namespaces.snapshot();
    let place = now.place(&feed.key.tenant, &feed.key.channel);
    let place = place.filter(|place| place.classes.allows(Class::Ephemeral));
    let allowed = place.is_some();
    hearing.follow(&sources.bus, &feed.eph, allowed).await?;
    feed.allow_ephemeral(allowed);
    Ok(place.and_then(|place| place.conflate))
}

async fn relay(
    sources: &Sources,
    feed: &Arc<Feed>,
    (mut subscription, mut hearing, mut conflate): Heard,
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
            message = subscription.next() => match message {
                Some(first) => feed.arrived(gather(&sources.faults, feed, first, &mut subscription)),
                None => return End::Closed,
            },
            part = async { repairing.as_mut().expect("only while repairing").await }, if repairing.is_some() => {
                repairing = None;
                if let Some(part) = part {
                    feed.repaired(part);
                }
            }
            event = hearing.next() => {
                feed.fleeted(&gather_fleeting(feed, event, &mut hearing, conflate.as_deref()));
            }
            () = feed.attention.notified() => {}
            _ = changes.changed() => {
                let snapshot = sources.namespaces.snapshot();
                if snapshot.store(&feed.place.store).is_some_and(|store| store.epoch != feed.epoch) {
                    return End::EpochChanged;
                }
                match hear(sources, feed, &mut hearing).await {
                    Ok(header) => conflate = header,
                    Err(_) => return End::Closed,
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

/// The first message and everything else that is ready.
fn gather(
    faults: &Faults,
    feed: &Feed,
    first: Incoming,
    subscription: &mut Subscription,
) -> Vec<Arc<Encoded>> {
    let mut events = Vec::new();
    let mut next = Some(first);
    while let Some(message) = next {
        if let Some(event) = intake(faults, feed, message) {
            events.push(event);
        }
        if events.len() >= RUN_EVENTS_MAX {
            break;
        }
        next = subscription.next().now_or_never().flatten();
    }
    events
}

fn gather_fleeting(
    feed: &Feed,
    first: Incoming,
    hearing: &mut Hearing,
    conflate: Option<&str>,
) -> Vec<Arc<Fleeting>> {
    let ready = std::iter::from_fn(|| hearing.ready());
    let messages = std::iter::once(first).chain(ready).take(RUN_EVENTS_MAX);
    messages
        .map(|message| Fleeting::new(feed.source.channel.clone(), message, conflate))
        .collect()
}

fn intake(faults: &Faults, feed: &Feed, message: Incoming) -> Option<Arc<Encoded>> {
    let Some(place) = message.republished else {
        meters().foreign.increment(1);
        return None;
    };
    if faults.hit("edge.drop_delivery") {
        return None;
    }
    let event = Relayed {
        seq: place.stream_seq,
        prev: place.prev,
        time_us: place.time_us,
        headers: message.headers,
        // A small payload must not keep the connection's read buffer alive.
        payload: Bytes::copy_from_slice(&message.payload),
    };
    Some(Encoded::event(feed.source.channel.clone(), event))
}
