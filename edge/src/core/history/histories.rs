//! Reads a page: where it starts, its events, and what retention has taken of it, which a
//! mirror may have.
//!
//! Owns the turns. They are others than those of replays, so that nobody who reads
//! history keeps a client waiting that resumes; a tenant has a part of them.

use std::time::Duration;

use archive::events::{Events, PAGE_BYTES_MAX};
use archive::{Archive, ArchiveError, Mirror, Part};
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
use super::page::Found;
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
/// What times in the mirror are cut to: Kafka keeps milliseconds.
const MIRROR_TICK_US: u64 = 1_000;

/// Reads history for everybody of a node: from the stream, and what retention has taken
/// there from where the past is.
pub struct Histories {
    bus: Bus,
    archive: Archive,
    turns: Turns,
    /// Wait before a leader that knows less than it should is asked again.
    doubt: Duration,
}

/// Where a page starts.
enum Start {
    /// Forwards after this sequence, backwards before it.
    At(u64),
    /// With this time, which is before the stream's beginning.
    Past(u64),
}

fn of<'a>(asked: &'a Asked, source: &'a Source) -> archive::Asked<'a> {
    archive::Asked {
        tenant: &asked.tenant,
        channel: &asked.channel,
        subject: &source.subject,
        limit: asked.limit,
    }
}

fn unreachable(error: &ArchiveError, begins: u64) -> ErrorBody {
    tracing::warn!(%error, temporary = error.temporary, "the past cannot be read");
    ErrorBody::new(
        ErrorCode::Unavailable,
        format!("what is before sequence {begins} is in the mirror, which cannot be read now"),
    )
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
    pub fn new(bus: Bus, archive: Archive, doubt: Duration) -> Self {
        Self {
            bus,
            archive,
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
        let (start, state) = self.start(asked, &source).await?;
        let read = async {
            let _turn = self.turns.take(&asked.tenant).await;
            let edge = match start {
                Start::At(edge) => edge,
                Start::Past(time) => self.before(asked, &source, time, &state).await?,
            };
            let (found, begins) = self.found(asked, &source, edge, state).await?;
            Ok(found.page(asked, encoding, begins))
        };
        match timeout(PAGE_TIMEOUT, read).await {
            Ok(Ok(page)) => {
                meters().history_events.increment(page.events.len() as u64);
                Ok(page)
            }
            Ok(Err(error)) => Err(error),
            Err(_) => Err(ErrorBody::new(
                ErrorCode::Unavailable,
                "history could not be read in time",
            )),
        }
    }

    /// What a page finds from an edge on, forwards after it, backwards before it; and what
    /// the stream begins with. What retention takes meanwhile is looked for where the past
    /// is.
    async fn found(
        &self,
        asked: &Asked,
        source: &Source,
        edge: u64,
        mut state: StreamState,
    ) -> Result<(Found, u64), ErrorBody> {
        let past = self.past(asked);
        loop {
            let begins = state.first_seq;
            let is_past = |begins: u64| match asked.backwards {
                true => edge > 1 && edge <= begins,
                false => edge + 1 < begins,
            };
            if let Some(mirror) = past.filter(|_| is_past(begins)) {
                let mut part = self.part(mirror, asked, source, edge, begins).await?;
                if asked.from == Mark::End(End::Earliest) {
                    part = part.from_its_beginning();
                }
                return Ok((Found::past(part, asked.backwards, state.last_seq), begins));
            }
            let found = self.kept(asked, source, edge, &state).await;
            let found = found.map_err(|error| unavailable(&error))?;
            state = self.state(&source.stream).await?;
            let begins = state.first_seq;
            if past.is_none() || !is_past(begins) {
                let found = found.kept(asked.backwards, begins, past.is_some());
                return Ok((found, begins));
            }
        }
    }

    /// What the stream has.
    async fn kept(
        &self,
        asked: &Asked,
        source: &Source,
        edge: u64,
        state: &StreamState,
    ) -> Result<Found, BusError> {
        if asked.backwards {
            below::read(&self.bus, source, edge, asked.limit, state.first_seq).await
        } else {
            self.above(source, edge, asked.limit, state).await
        }
    }

    /// Where the past of a channel is, if anywhere.
    fn past(&self, asked: &Asked) -> Option<&Mirror> {
        self.archive.of(&asked.place.store, &asked.channel)
    }

    /// What the mirror has of what is before the stream's beginning.
    async fn part(
        &self,
        mirror: &Mirror,
        asked: &Asked,
        source: &Source,
        edge: u64,
        begins: u64,
    ) -> Result<Part, ErrorBody> {
        let of = of(asked, source);
        let part = if asked.backwards {
            mirror.below(&of, edge).await
        } else {
            mirror.above(&of, edge, begins - 1).await
        };
        part.map_err(|error| unreachable(&error, begins))
    }

    /// The edge of a time that is before the stream's beginning.
    async fn before(
        &self,
        asked: &Asked,
        source: &Source,
        time: u64,
        state: &StreamState,
    ) -> Result<u64, ErrorBody> {
        let begins = state.first_seq;
        let Some(mirror) = self.past(asked) else {
            // What was stored before the stream begins may be of that time too, and is
            // said to be lost.
            return Ok(if asked.backwards { begins } else { 0 });
        };
        // The mirror's times are cut to milliseconds: what may be of the time is.
        let since = match asked.backwards {
            true => (time / MIRROR_TICK_US + 1) * MIRROR_TICK_US,
            false => time,
        };
        let first = mirror.since(&of(asked, source), since, begins - 1).await;
        let first = first.map_err(|error| unreachable(&error, begins))?;
        let first = first.unwrap_or(begins);
        Ok(first - u64::from(!asked.backwards))
    }

    /// Where a page starts, and what the stream is like.
    async fn start(
        &self,
        asked: &Asked,
        source: &Source,
    ) -> Result<(Start, StreamState), ErrorBody> {
        let stream = &source.stream;
        let beyond = |after: u64| if asked.backwards { after + 1 } else { after };
        let (edge, state) = match &asked.from {
            Mark::End(End::Earliest) => {
                let state = self.state(stream).await?;
                let first = if self.past(asked).is_some() {
                    1
                } else {
                    state.first_seq
                };
                (beyond(first.saturating_sub(1)), state)
            }
            Mark::End(End::Latest) => {
                let state = self.state(stream).await?;
                (beyond(state.last_seq), state)
            }
            Mark::Time(AtTime { time }) => {
                let state = self.state(stream).await?;
                return Ok((self.time(asked, source, &state, *time).await?, state));
            }
            Mark::Position(position) => self.position(asked, stream, position).await?,
            Mark::Sequence(AtSequence { seq }) => {
                let after = if asked.backwards {
                    *seq
                } else {
                    seq.saturating_sub(1)
                };
                let state = self.reaching(stream, after).await?;
                (beyond(after), state)
            }
        };
        Ok((Start::At(edge), state))
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

    async fn time(
        &self,
        asked: &Asked,
        source: &Source,
        state: &StreamState,
        time: u64,
    ) -> Result<Start, ErrorBody> {
        if state.first_seq > 1 && time < state.first_time_us {
            return Ok(Start::Past(time));
        }
        let since = time.saturating_add(u64::from(asked.backwards));
        let (stream, subject) = (&source.stream, &source.subject);
        let first = self.bus.first_since(stream, subject, since).await;
        let first = first.map_err(|error| unavailable(&error))?;
        // An event that came since is not in what the state says.
        let first = first.unwrap_or(state.last_seq + 1).min(state.last_seq + 1);
        Ok(Start::At(first - u64::from(!asked.backwards)))
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
            events: events.into_list(),
            lack: None,
            first_seq: after + 1,
            last_seq,
            prev: prev.unwrap_or(0),
            more: last_seq < state.last_seq,
        })
    }
}
