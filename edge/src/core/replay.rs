//! From a position to live: the one path for a new subscription, a resumed one and
//! one that was paused because its client read too slowly.
//!
//! A task per subscription while it is behind, none once it is live. It reads the
//! stream up to the feed's position, with the outbox as back-pressure, and asks to
//! join; the feed holds what came meanwhile in its ring, once for everybody.

use std::sync::Arc;
use std::time::Duration;

use bus::{Bus, BusError};
use futures_util::StreamExt;
use protocol::error_code::ErrorCode;
use protocol::frame::{ErrorBody, Named, Outcome, Reply, Start, Subscribed, encode};
use protocol::position::Position;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::delivery::Encoded;
use super::feed::relay::{Join, Subscriber};
use super::feed::repair::{Source, lost};
use super::metrics::meters;
use super::port::{Note, Pushed};
use super::registry::FeedGuard;
use super::request::Request;

/// Most events pushed in one go.
const RUN_EVENTS_MAX: usize = 128;
/// How long a reader waits for room with the stream open before it gives its turn to
/// others and starts again later.
const ROOM_TIMEOUT: Duration = Duration::from_secs(1);
/// Wait before a failed read is tried again.
const RETRY: Duration = Duration::from_millis(200);
/// How long opening a channel may take.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);

/// Reads of history at a time, unless the settings say otherwise. Policy: the next one
/// waits. A reader whose client does not take its events gives its turn back.
pub const REPLAYS_MAX: usize = 64;

/// Reads history for every subscription of a node.
pub struct Replays {
    bus: Bus,
    turns: Semaphore,
}

impl Replays {
    /// Nothing is being read yet.
    pub fn new(bus: Bus) -> Arc<Self> {
        Arc::new(Self {
            bus,
            turns: Semaphore::new(REPLAYS_MAX),
        })
    }
}

/// Where a subscription begins.
struct Begin {
    /// What the reply says.
    after: u64,
    /// The channel's event before the first one, as far as it is known.
    prev: u64,
    /// What retention has taken after it.
    gap: Option<(u64, u64)>,
    /// Whether the client is told when it has caught up.
    announce: bool,
}

/// Makes a subscription: answers the command, brings the client level, joins. `guard`
/// is its place in the channel's feed.
pub async fn attach(
    replays: Arc<Replays>,
    guard: Arc<FeedGuard>,
    subscriber: Subscriber,
    request: Request,
) {
    let Request {
        command,
        id,
        ref channel,
        ref place,
        ..
    } = request;
    let begun = begin(&replays.bus, &guard, &request).await;
    let port = subscriber.port.clone();
    let begin = match begun {
        Ok(begin) => begin,
        Err(error) => {
            return port.note(Note::Refused {
                id,
                command,
                channel: channel.clone(),
                error,
            });
        }
    };
    if !port.open(id) {
        return;
    }
    let subscribed = Subscribed {
        channel: channel.as_str().into(),
        epoch: place.epoch.clone(),
        after: begin.after,
    };
    let reply = Reply {
        id: command,
        outcome: Outcome::Subscribe(subscribed),
    };
    port.send(encode(subscriber.encoding, &reply));
    port.note(Note::Attached { id });
    let (source, mut at) = (guard.feed.source.clone(), begin.after);
    let mut reader = Reader {
        replays,
        guard,
        subscriber,
        prev: begin.prev,
    };
    if let Some((from, to)) = begin.gap {
        reader.announce_gap(&source, from, to);
        (at, reader.prev) = (to, 0);
    }
    reader.level(at, begin.announce).await;
}

/// Brings a paused subscription level again.
pub async fn again(replays: Arc<Replays>, guard: Arc<FeedGuard>, subscriber: Subscriber, at: u64) {
    Reader {
        replays,
        guard,
        subscriber,
        prev: at,
    }
    .level(at, true)
    .await;
}

async fn begin(bus: &Bus, guard: &FeedGuard, request: &Request) -> Result<Begin, ErrorBody> {
    if !timeout(OPEN_TIMEOUT, guard.feed.opened())
        .await
        .unwrap_or(false)
    {
        return Err(ErrorBody::new(
            ErrorCode::Unavailable,
            "the channel could not be opened",
        ));
    }
    let position = match &request.start {
        Start::Named(Named::Now) => {
            let after = guard.feed.position();
            return Ok(Begin {
                after,
                prev: after,
                gap: None,
                announce: false,
            });
        }
        Start::Named(Named::Earliest) => None,
        Start::After(position) => Some(position),
    };
    let source = &guard.feed.source;
    let state = bus
        .stream_state(&source.stream)
        .await
        .map_err(|error| unavailable(&error))?;
    let Some(position) = position else {
        return Ok(Begin {
            after: state.first_seq.saturating_sub(1),
            prev: 0,
            gap: None,
            announce: true,
        });
    };
    check(request, position, state.last_seq)?;
    if let (Some(time), true) = (position.time, position.seq >= state.first_seq.max(1)) {
        let stored = bus
            .get(&source.stream, position.seq)
            .await
            .map_err(|error| unavailable(&error))?;
        if stored.is_some_and(|event| event.time_us != time) {
            return Err(mismatch("time"));
        }
    }
    let after = position.seq;
    // An empty channel looks the same whether it never had an event or lost them all.
    let gap = lost(after, state.last_seq, state.first_seq)
        .filter(|(_, to)| !guard.feed.vouches(after, *to));
    Ok(Begin {
        after,
        prev: after,
        gap,
        announce: true,
    })
}

/// Whether a position is one of this stream.
fn check(request: &Request, position: &Position, last: u64) -> Result<(), ErrorBody> {
    if position.epoch != request.place.epoch {
        return Err(mismatch("epoch"));
    }
    if position.seq > last {
        let message = format!(
            "from.seq {} is past the stream's last sequence {last}",
            position.seq
        );
        return Err(ErrorBody::new(ErrorCode::PositionAhead, message));
    }
    Ok(())
}

fn mismatch(field: &str) -> ErrorBody {
    ErrorBody::new(
        ErrorCode::PositionMismatch,
        format!("from.{field} is not the stream's: the position means other events"),
    )
}

fn unavailable(error: &BusError) -> ErrorBody {
    ErrorBody::new(ErrorCode::Unavailable, error.to_string())
}

/// Why reading stopped.
enum Stop {
    /// The range has been read.
    Done,
    /// Read on from here later: the client is slow, or the store does not answer.
    Pause,
    /// The subscription has ended.
    Closed,
}

/// Reads history for one subscription.
struct Reader {
    replays: Arc<Replays>,
    guard: Arc<FeedGuard>,
    subscriber: Subscriber,
    /// The channel's event before the next one that is read.
    prev: u64,
}

impl Reader {
    /// Replays and joins, until the subscription is live or has ended.
    async fn level(mut self, mut at: u64, announce: bool) {
        loop {
            self.subscriber.port.room().await;
            match self.guard.feed.join(&self.subscriber, at, announce) {
                Join::Live | Join::Closed => return,
                Join::Ended => return self.subscriber.port.note(Note::EpochChanged),
                Join::Full { at: reached } => {
                    if reached > at {
                        self.prev = reached;
                    }
                    at = reached;
                }
                Join::Behind { to } => match self.read(&mut at, to).await {
                    Stop::Done => at = at.max(to),
                    Stop::Pause => {}
                    Stop::Closed => return,
                },
            }
        }
    }

    /// Pushes the channel's events after `at` up to `to`; `at` is where the
    /// subscription stands afterwards.
    async fn read(&mut self, at: &mut u64, to: u64) -> Stop {
        let replays = self.replays.clone();
        let Ok(_turn) = replays.turns.acquire().await else {
            return Stop::Closed;
        };
        match self.read_range(at, to).await {
            Ok(stop) => stop,
            Err(error) => {
                tracing::debug!(feed = ?self.guard.feed, %error, "a replay is tried again");
                tokio::time::sleep(RETRY).await;
                Stop::Pause
            }
        }
    }

    async fn read_range(&mut self, at: &mut u64, to: u64) -> Result<Stop, BusError> {
        let source = self.guard.feed.source.clone();
        let begin = *at;
        let first = self
            .replays
            .bus
            .stream_state(&source.stream)
            .await?
            .first_seq;
        if let Some((from, end)) = lost(*at, to, first) {
            if !self.announce_gap(&source, from, end) {
                return Ok(Stop::Closed);
            }
            (*at, self.prev) = (end, 0);
        }
        let from = *at + 1;
        let mut runs = self
            .replays
            .bus
            .scan(&source.stream, &source.subject, from, to)
            .await
            .ready_chunks(RUN_EVENTS_MAX);
        while let Some(found) = runs.next().await {
            let mut run = Vec::with_capacity(found.len());
            // Only what was pushed counts: after a failure the run is read again.
            let mut reached = self.prev;
            for event in found {
                let event = event?;
                let prev = std::mem::replace(&mut reached, event.seq);
                run.push(Encoded::stored(source.channel.clone(), event, prev));
            }
            if let Some(stop) = self.push(at, &run).await {
                return Ok(stop);
            }
            self.prev = reached;
        }
        // Retention may have passed while we read.
        let first = self
            .replays
            .bus
            .stream_state(&source.stream)
            .await?
            .first_seq;
        if first > from.max(begin + 1)
            && let Some((from, end)) = lost(from - 1, to, first)
        {
            return Ok(if self.announce_gap(&source, from, end) {
                Stop::Done
            } else {
                Stop::Closed
            });
        }
        Ok(Stop::Done)
    }

    /// Pushes a run, waiting for room; `None` when all of it was pushed.
    async fn push(&mut self, at: &mut u64, run: &[Arc<Encoded>]) -> Option<Stop> {
        loop {
            let Subscriber { id, port, encoding } = &self.subscriber;
            let before = *at;
            let pushed = port.push_run(*id, *encoding, run, before);
            if let Pushed::All(reached) | Pushed::Full(reached) = pushed {
                *at = reached;
                let count = run
                    .iter()
                    .filter(|event| event.seq() > before && event.seq() <= reached)
                    .count();
                meters().replayed.increment(count as u64);
            }
            match pushed {
                Pushed::All(_) => return None,
                Pushed::Closed => return Some(Stop::Closed),
                Pushed::Full(_) => {}
            }
            if timeout(ROOM_TIMEOUT, port.room()).await.is_err() {
                self.prev = *at;
                return Some(Stop::Pause);
            }
        }
    }

    fn announce_gap(&self, source: &Source, from: u64, to: u64) -> bool {
        meters().gaps.increment(1);
        let gap = Encoded::gap(source.channel.clone(), from, to);
        let Subscriber { id, port, encoding } = &self.subscriber;
        port.send_for(*id, gap.payload(*encoding).clone())
    }
}

#[cfg(test)]
mod tests {
    use protocol::lane::Lane;
    use protocol::name::{Channel, StoreName, Tenant};
    use protocol::position::Epoch;

    use super::*;
    use crate::core::directory::Place;

    #[test]
    fn positions_of_other_streams_are_refused() {
        let epoch = |text| Epoch::parse(text).unwrap();
        let position = |text, seq| Position {
            epoch: epoch(text),
            seq,
            time: None,
        };
        let place = Place {
            store: StoreName::parse("main").unwrap(),
            epoch: epoch("aa"),
            lane: Lane(0),
            gated: false,
        };
        let (tenant, channel) = (
            Tenant::parse("t").unwrap(),
            Channel::parse("doc.1").unwrap(),
        );
        let request = Request {
            command: 1,
            id: 1,
            tenant,
            channel,
            place,
            start: Start::Named(Named::Now),
        };
        assert!(check(&request, &position("aa", 10), 10).is_ok());
        assert_eq!(
            check(&request, &position("aa", 11), 10).unwrap_err().code,
            ErrorCode::PositionAhead
        );
        assert_eq!(
            check(&request, &position("bb", 1), 10).unwrap_err().code,
            ErrorCode::PositionMismatch
        );
    }
}
