//! Reads a page: where it starts, its events, and what retention has taken of it.
//!
//! Owns the turns. They are others than those of replays, so that nobody who reads
//! history keeps a client waiting that resumes; a tenant has a part of them.

use std::time::Duration;

use bus::{Bus, BusError, Portion};
use futures_util::StreamExt;
use protocol::bus::StreamState;
use protocol::error_code::ErrorCode;
use protocol::frame::{AtSequence, AtTime, Encoding, End, ErrorBody, HistoryPage, Mark};
use protocol::position::Position;
use protocol::stream::StreamName;
use tokio::time::timeout;

use super::asked::Asked;
use super::below;
use super::page::{Events, Found, PAGE_BYTES_MAX};
use crate::core::feed::repair::Source;
use crate::core::leader::{DOUBTS, unavailable};
use crate::core::metrics::meters;
use shares::turns::Turns;

/// Pages that are read at a time: each is at most some hundred events in memory.
const PAGES_MAX: usize = 16;
/// Pages of one tenant among them.
const PAGES_PER_TENANT_MAX: usize = 4;
/// How long a page may take, with the wait for its turn.
const PAGE_TIMEOUT: Duration = Duration::from_secs(10);

/// Reads history for everybody of a node.
pub struct Histories {
    bus: Bus,
    turns: Turns,
    /// Wait before a leader that knows less than it should is asked again.
    doubt: Duration,
}

fn mismatch(field: &str) -> ErrorBody {
    ErrorBody::new(
        ErrorCode::PositionMismatch,
        format!("from.{field} is not the stream's: the position means other events"),
    )
}

impl Histories {
    /// Nothing is being read yet. A leader that ends before a position is asked again
    /// after `doubt`, [`DOUBTS`] times.
    pub fn new(bus: Bus, doubt: Duration) -> Self {
        Self {
            bus,
            turns: Turns::new(PAGES_MAX, PAGES_PER_TENANT_MAX),
            doubt,
        }
    }

    /// Reads a page. Cancel safe.
    ///
    /// # Errors
    /// [`ErrorCode::PositionMismatch`], [`ErrorCode::PositionAhead`],
    /// [`ErrorCode::Unavailable`].
    pub async fn read(&self, asked: &Asked, encoding: Encoding) -> Result<HistoryPage, ErrorBody> {
        let source = asked.source();
        // Without a turn: it may wait for a leader, and asks for next to nothing.
        let (edge, state) = self.edge(asked, &source).await?;
        let read = async {
            let _turn = self.turns.take(&asked.tenant).await;
            let (limit, begins) = (asked.limit, state.first_seq);
            let found = if asked.backwards {
                below::read(&self.bus, &source, edge, limit, begins).await?
            } else {
                self.above(&source, edge, limit, &state).await?
            };
            // Retention may have passed meanwhile.
            let begins = self.bus.stream_state(&source.stream).await?.first_seq;
            Ok(found.page(asked, encoding, begins))
        };
        match timeout(PAGE_TIMEOUT, read).await {
            Ok(Ok(page)) => {
                meters().history_events.increment(page.events.len() as u64);
                Ok(page)
            }
            Ok(Err(error)) => Err(unavailable(&error)),
            Err(_) => Err(ErrorBody::new(
                ErrorCode::Unavailable,
                "history could not be read in time",
            )),
        }
    }

    /// Where a page starts: forwards after this sequence, backwards before it.
    async fn edge(&self, asked: &Asked, source: &Source) -> Result<(u64, StreamState), ErrorBody> {
        let stream = &source.stream;
        let beyond = |after: u64| if asked.backwards { after + 1 } else { after };
        let state = match &asked.from {
            Mark::End(_) | Mark::Time(_) => self.state(stream).await?,
            Mark::Position(position) => return self.position(asked, stream, position).await,
            Mark::Sequence(AtSequence { seq }) => {
                let after = if asked.backwards {
                    *seq
                } else {
                    seq.saturating_sub(1)
                };
                let state = self.reaching(stream, after).await?;
                return Ok((beyond(after), state));
            }
        };
        let edge = match &asked.from {
            Mark::End(End::Earliest) => beyond(state.first_seq.saturating_sub(1)),
            Mark::Time(AtTime { time }) => {
                return Ok((self.time(asked, source, &state, *time).await?, state));
            }
            _ => beyond(state.last_seq),
        };
        Ok((edge, state))
    }

    async fn position(
        &self,
        asked: &Asked,
        stream: &StreamName,
        position: &Position,
    ) -> Result<(u64, StreamState), ErrorBody> {
        if position.epoch != asked.place.epoch {
            return Err(mismatch("epoch"));
        }
        // A page that ends with the newest event says that the next one is below it.
        let reach = position.seq.saturating_sub(u64::from(asked.backwards));
        let state = self.reaching(stream, reach).await?;
        let kept = state.first_seq.max(1)..=state.last_seq;
        if let Some(time) = position.time
            && kept.contains(&position.seq)
        {
            let stored = self.bus.get(stream, position.seq).await;
            let stored = stored.map_err(|error| unavailable(&error))?;
            if stored.is_some_and(|event| event.time_us != time) {
                return Err(mismatch("time"));
            }
        }
        Ok((position.seq, state))
    }

    /// What was stored before the stream begins may be of that time too, and is said to
    /// be lost.
    async fn time(
        &self,
        asked: &Asked,
        source: &Source,
        state: &StreamState,
        time: u64,
    ) -> Result<u64, ErrorBody> {
        if !asked.backwards && state.first_seq > 1 && time < state.first_time_us {
            return Ok(0);
        }
        let since = time.saturating_add(u64::from(asked.backwards));
        let (stream, subject) = (&source.stream, &source.subject);
        let first = self.bus.first_since(stream, subject, since).await;
        let first = first.map_err(|error| unavailable(&error))?;
        // An event that came since is not in what the state says.
        let first = first.unwrap_or(state.last_seq + 1).min(state.last_seq + 1);
        Ok(first - u64::from(!asked.backwards))
    }

    async fn state(&self, stream: &StreamName) -> Result<StreamState, ErrorBody> {
        let state = self.bus.stream_state(stream).await;
        state.map_err(|error| unavailable(&error))
    }

    /// The stream's state, which has to reach to `seq`: asked for again as long as it
    /// does not, since a leader that was cut off answers too, for a while.
    async fn reaching(&self, stream: &StreamName, seq: u64) -> Result<StreamState, ErrorBody> {
        let mut state = self.state(stream).await?;
        for _ in 0..DOUBTS {
            if seq <= state.last_seq {
                return Ok(state);
            }
            tokio::time::sleep(self.doubt).await;
            state = self.state(stream).await?;
        }
        if seq <= state.last_seq {
            return Ok(state);
        }
        let last = state.last_seq;
        let message = format!("from is past the stream's last sequence {last}");
        Err(ErrorBody::new(ErrorCode::PositionAhead, message))
    }

    /// The channel's events after `after`.
    async fn above(
        &self,
        source: &Source,
        after: u64,
        limit: usize,
        state: &StreamState,
    ) -> Result<Found, BusError> {
        let (stream, subject) = (&source.stream, &source.subject);
        let range = ((after + 1).max(state.first_seq), state.last_seq);
        let portion = Portion {
            events: limit,
            bytes: PAGE_BYTES_MAX,
        };
        let mut scan = self.bus.scan_page(stream, subject, range, portion).await;
        let (mut events, mut last_seq) = (Events::new(limit), state.last_seq.max(after));
        while let Some(event) = scan.next().await {
            if !events.push(event?) || events.is_full() {
                last_seq = events.reached().unwrap_or(last_seq);
                break;
            }
        }
        let prev = match events.opening() {
            Some(seq) => self.bus.last_before(stream, subject, seq).await?,
            None => None,
        };
        Ok(Found {
            events,
            first_seq: after + 1,
            last_seq,
            prev: prev.unwrap_or(0),
            more: last_seq < state.last_seq,
        })
    }
}
