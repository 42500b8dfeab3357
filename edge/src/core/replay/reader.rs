//! Brings one subscription level with its feed, and joins it.
//!
//! Owns how far the subscription's chain has come. What is pushed is never taken back,
//! so every failure goes on from the last event that was.

use std::sync::Arc;
use std::time::Duration;

use bus::BusError;
use futures_util::StreamExt;
use protocol::bus::Stored;
use tokio::time::timeout;

use super::replays::Replays;
use crate::core::delivery::Encoded;
use crate::core::feed::relay::{Join, Subscriber};
use crate::core::feed::repair::{Source, lost};
use crate::core::leader;
use crate::core::metrics::meters;
use crate::core::port::{Note, Pushed};
use crate::core::registry::FeedGuard;
use crate::core::run::Run;

/// Most events pushed in one go.
const RUN_EVENTS_MAX: usize = 128;
/// How long a reader waits for room with the stream open before it gives its turn to
/// others and starts again later.
const ROOM_TIMEOUT: Duration = Duration::from_secs(1);
/// Wait before a failed read is tried again.
const RETRY: Duration = Duration::from_millis(200);
/// Events that are read in one turn at least, before it is given to others that wait: a
/// channel that is short is read in one go, and a long one holds nobody up for long.
const TURN_EVENTS: usize = 2_048;
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
pub(super) struct Reader {
    /// What readers share.
    pub replays: Arc<Replays>,
    /// The subscription's place in its feed.
    pub guard: Arc<FeedGuard>,
    /// Who reads.
    pub subscriber: Subscriber,
    /// The channel's event before the next one that is read.
    pub prev: u64,
}

impl Reader {
    /// Replays and joins, until the subscription is live or has ended.
    pub async fn level(mut self, mut at: u64, announce: bool) {
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
                    self.subscriber.port.granted(self.subscriber.id).await;
                }
                Join::Behind { to } => {
                    self.subscriber.port.granted(self.subscriber.id).await;
                    match self.read(&mut at, to).await {
                        Stop::Done => at = at.max(to),
                        Stop::Pause => {}
                        Stop::Closed => return,
                    }
                }
            }
        }
    }

    /// Pushes the channel's events after `at` up to `to`; `at` is where the
    /// subscription stands afterwards.
    async fn read(&mut self, at: &mut u64, to: u64) -> Stop {
        let replays = self.replays.clone();
        let _turn = replays.turns.take(&self.guard.feed.key.tenant).await;
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
        let bus = &self.replays.bus;
        let first = leader::state(bus, &source.stream, to).await?.first_seq;
        if let Some((from, end)) = lost(*at, to, first) {
            if !self.announce_gap(&source, from, end) {
                return Ok(Stop::Closed);
            }
            (*at, self.prev) = (end, 0);
        }
        let from = *at + 1;
        let mut pushed = 0;
        let mut runs = self
            .replays
            .bus
            .scan(&source.stream, &source.subject, from, to)
            .await
            .ready_chunks(RUN_EVENTS_MAX);
        while let Some(found) = runs.next().await {
            let (run, failed) = chain(&source, found, self.prev);
            let run = Run::new(run);
            // What came before a failure is good, and `prev` follows what was pushed.
            if let Some(stop) = self.push(at, &run).await {
                return Ok(stop);
            }
            self.prev = run.events().last().map_or(self.prev, |event| event.seq());
            if let Some(error) = failed {
                return Err(error);
            }
            pushed += run.events().len();
            if pushed >= TURN_EVENTS && self.replays.turns.is_wanted() {
                return Ok(Stop::Pause);
            }
        }
        // Retention may have passed while we read.
        let bus = &self.replays.bus;
        let first = leader::state(bus, &source.stream, to).await?.first_seq;
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
    async fn push(&mut self, at: &mut u64, run: &Run) -> Option<Stop> {
        loop {
            let Subscriber {
                id, port, encoding, ..
            } = &self.subscriber;
            let before = *at;
            let (pushed, events) = port.push_run(*id, *encoding, run, before);
            if let Pushed::All(reached) | Pushed::Full(reached) | Pushed::Spent(reached) = pushed {
                *at = reached;
                meters().replayed.increment(events);
            }
            match pushed {
                Pushed::All(_) => return None,
                Pushed::Closed => return Some(Stop::Closed),
                // What waits for credit waits without a turn.
                Pushed::Spent(_) => {
                    self.prev = *at;
                    return Some(Stop::Pause);
                }
                Pushed::Full(_) => {}
            }
            if timeout(ROOM_TIMEOUT, port.room()).await.is_err() {
                self.prev = *at;
                return Some(Stop::Pause);
            }
        }
    }

    /// Tells the client of a range that is lost; false once the subscription has ended.
    pub fn announce_gap(&self, source: &Source, from: u64, end: u64) -> bool {
        meters().gaps.increment(1);
        let gap = Encoded::gap(source.channel.clone(), from, end);
        let Subscriber {
            id, port, encoding, ..
        } = &self.subscriber;
        port.send_after(*id, *encoding, end, gap.payload(*encoding).clone())
    }
}

/// A chunk as the channel goes on after `prev`: what came before its first failure, and
/// that.
fn chain(
    source: &Source,
    found: Vec<Result<Stored, BusError>>,
    mut prev: u64,
) -> (Vec<Arc<Encoded>>, Option<BusError>) {
    let mut run = Vec::with_capacity(found.len());
    for event in found {
        match event {
            Ok(event) => {
                let seq = event.seq;
                run.push(Encoded::stored(source.channel.clone(), event, prev));
                prev = seq;
            }
            Err(error) => return (run, Some(error)),
        }
    }
    (run, None)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use protocol::header::Headers;
    use protocol::lane::Lane;
    use protocol::name::{Channel, StoreName, Tenant};
    use protocol::stream::StreamName;
    use protocol::subject::{Kind, Subject};

    use super::*;

    fn source() -> Source {
        let (tenant, store) = (
            Tenant::parse("t").unwrap(),
            StoreName::parse("main").unwrap(),
        );
        let channel = Channel::parse("doc.1").unwrap();
        Source {
            channel: "doc.1".into(),
            stream: StreamName::events(&store),
            subject: Subject::event(Kind::Ev, &store, Lane(0), &tenant, &channel),
        }
    }

    #[test]
    fn what_came_before_a_failure_is_pushed_and_the_chain_goes_on_behind_it() {
        let event = |seq| Stored {
            seq,
            time_us: 0,
            subject: String::new(),
            headers: Headers::new(),
            payload: Bytes::new(),
        };
        let found = vec![Ok(event(4)), Ok(event(6)), Err(BusError::Timeout)];
        let (run, failed) = chain(&source(), found, 3);
        let links: Vec<_> = run
            .iter()
            .map(|event| (event.prev(), event.seq()))
            .collect();
        assert_eq!(links, [(3, 4), (4, 6)]);
        assert!(matches!(failed, Some(BusError::Timeout)));
    }
}
