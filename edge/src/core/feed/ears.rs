//! What a feed hears of its channel: events that were stored, and those that are not. Where
//! its namespace states a delay, they wait for more of them, and go on together.
//!
//! Owns both subscriptions and what waits. Bounded: a run that is full waits for nothing.

use std::sync::Arc;
use std::time::Duration;

use bus::{BusError, Incoming, Subscription};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use protocol::class::Class;
use service::fault::Faults;
use tokio::time::Instant;

use super::relay::Feed;
use super::sources::Sources;
use crate::core::delivery::{Encoded, Relayed};
use crate::core::ephemeral::fleeting::Fleeting;
use crate::core::ephemeral::hearing::Hearing;
use crate::core::metrics::meters;

/// Most events that go on together. Policy: more wait for no delay.
const RUN_EVENTS_MAX: usize = 256;

/// What was heard.
pub enum Heard {
    /// Stored events.
    Stored(Vec<Arc<Encoded>>),
    /// Ephemeral ones.
    Fleeting(Vec<Arc<Fleeting>>),
    /// The connection to NATS was closed.
    Closed,
}

/// Hears a channel.
pub struct Ears {
    stored: Subscription,
    fleeting: Hearing,
    /// The header by which ephemeral events are conflated.
    conflate: Option<String>,
    /// How long events wait for more.
    batch: Duration,
    waiting: Gathering<Arc<Encoded>>,
    passing: Gathering<Arc<Fleeting>>,
}

impl Ears {
    /// Hears what comes from now on, once the connection has been flushed.
    ///
    /// # Errors
    /// Those of [`bus::Bus::subscribe`].
    pub async fn open(sources: &Sources, feed: &Feed) -> Result<Self, BusError> {
        let mut ears = Self {
            stored: sources.bus.subscribe(&feed.fan).await?,
            fleeting: Hearing::default(),
            conflate: None,
            batch: Duration::ZERO,
            waiting: Gathering::default(),
            passing: Gathering::default(),
        };
        ears.adjust(sources, feed).await?;
        Ok(ears)
    }

    /// Hears the channel as its namespace is configured now. Not cancel safe: ephemeral
    /// events may not be heard then.
    ///
    /// # Errors
    /// Those of [`bus::Bus::subscribe`].
    pub async fn adjust(&mut self, sources: &Sources, feed: &Feed) -> Result<(), BusError> {
        let now = sources.namespaces.snapshot();
        let place = now.place(&feed.key.tenant, &feed.key.channel);
        self.batch = place.as_ref().map_or(Duration::ZERO, |place| place.batch);
        let place = place.filter(|place| place.classes.allows(Class::Ephemeral));
        let allowed = place.is_some();
        self.fleeting
            .follow(&sources.bus, &feed.eph, allowed)
            .await?;
        feed.allow_ephemeral(allowed);
        self.conflate = place.and_then(|place| place.conflate);
        Ok(())
    }

    /// The next events. Cancel safe: what was heard waits here, or in a subscription.
    pub async fn next(&mut self, faults: &Faults, feed: &Feed) -> Heard {
        loop {
            let due = self.waiting.due.into_iter().chain(self.passing.due).min();
            if due.is_some_and(|due| due <= Instant::now()) {
                if let Some(events) = self.waiting.take() {
                    return Heard::Stored(events);
                }
                if let Some(events) = self.passing.take() {
                    return Heard::Fleeting(events);
                }
            }
            // Every branch is cancel safe.
            tokio::select! {
                message = self.stored.next() => match message {
                    Some(first) => {
                        let room = RUN_EVENTS_MAX.saturating_sub(self.waiting.events.len());
                        let events = gather(faults, feed, first, &mut self.stored, room);
                        self.waiting.add(events, self.batch);
                    }
                    None => return Heard::Closed,
                },
                event = self.fleeting.next() => {
                    let events = self.gather_fleeting(feed, event);
                    self.passing.add(events, self.batch);
                }
                () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
            }
        }
    }

    fn gather_fleeting(&mut self, feed: &Feed, first: Incoming) -> Vec<Arc<Fleeting>> {
        let room = RUN_EVENTS_MAX.saturating_sub(self.passing.events.len());
        let ready = std::iter::from_fn(|| self.fleeting.ready());
        let messages = std::iter::once(first).chain(ready).take(room.max(1));
        let (channel, conflate) = (&feed.source.channel, self.conflate.as_deref());
        messages
            .map(|message| Fleeting::new(channel.clone(), message, conflate))
            .collect()
    }
}

/// The first message and everything else that is ready.
fn gather(
    faults: &Faults,
    feed: &Feed,
    first: Incoming,
    subscription: &mut Subscription,
    room: usize,
) -> Vec<Arc<Encoded>> {
    let mut events = Vec::new();
    let mut next = Some(first);
    while let Some(message) = next {
        if let Some(event) = intake(faults, feed, message) {
            events.push(event);
        }
        if events.len() >= room {
            break;
        }
        next = subscription.next().now_or_never().flatten();
    }
    events
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

/// Events that wait for more of them.
struct Gathering<E> {
    events: Vec<E>,
    /// When they go on; `None` while there are none.
    due: Option<Instant>,
}

impl<E> Default for Gathering<E> {
    fn default() -> Self {
        Self {
            events: Vec::new(),
            due: None,
        }
    }
}

impl<E> Gathering<E> {
    /// Some more, which go on after the delay of the first of them at the latest.
    fn add(&mut self, events: Vec<E>, delay: Duration) {
        if events.is_empty() {
            return;
        }
        let now = Instant::now();
        if self.events.is_empty() {
            (self.events, self.due) = (events, Some(now + delay));
        } else {
            self.events.extend(events);
        }
        if self.events.len() >= RUN_EVENTS_MAX {
            self.due = Some(now);
        }
    }

    /// What is due.
    fn take(&mut self) -> Option<Vec<E>> {
        self.due.take_if(|due| *due <= Instant::now())?;
        Some(std::mem::take(&mut self.events))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn events_wait_as_long_as_the_first_of_them_may_and_a_full_run_does_not() {
        let delay = Duration::from_millis(20);
        let mut gathering = Gathering::default();
        gathering.add(vec![1], delay);
        tokio::time::advance(delay / 2).await;
        gathering.add(vec![2], delay);
        assert_eq!(gathering.take(), None);
        tokio::time::advance(delay / 2).await;
        assert_eq!(gathering.take(), Some(vec![1, 2]));
        assert_eq!((gathering.take(), gathering.due), (None, None));
        gathering.add(vec![3], Duration::ZERO);
        assert_eq!(gathering.take(), Some(vec![3]));
        gathering.add(vec![4; RUN_EVENTS_MAX - 1], delay);
        assert_eq!(gathering.take(), None);
        gathering.add(vec![5], delay);
        assert_eq!(gathering.take().map(|run| run.len()), Some(RUN_EVENTS_MAX));
    }
}
