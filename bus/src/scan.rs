//! Reading every event of a range on a filter.
//!
//! Owns the place in the range. Short ranges go by batched Direct Get, long ones by
//! a short-lived consumer, which is faster from some hundreds of events on. Either
//! may come from a follower that lags, so the end is confirmed by the leader.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::Stream;
use tokio::time::timeout;

use crate::bus::Bus;
use crate::error::BusError;
use crate::following::ReaderOptions;
use crate::reader::Reader;
use protocol::bus::Stored;
use protocol::stream::StreamName;
use protocol::subject::Subject;

/// How many events have to be left for a consumer to be worth its making: measured,
/// Direct Get and consumer are equal near 100 events, and the consumer costs the
/// server more.
pub const SCAN_CONSUMER_THRESHOLD: u64 = 512;
/// Events asked for at a time by Direct Get.
const SCAN_EVENTS: usize = 256;
/// Bytes asked for at a time, either way.
const SCAN_BYTES: usize = 4 << 20;
/// How long a consumer may be silent before the leader is asked whether there is
/// anything left: retention may have taken what it had counted.
const SCAN_SILENCE: Duration = Duration::from_secs(2);

/// What is fetched at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Portion {
    /// Most events, 1 to [`crate::NEXT_EVENTS_MAX`].
    pub events: usize,
    /// About how many bytes at most.
    pub bytes: usize,
}

/// The events of a range, ascending; ends after the last. What is not polled is not
/// fetched: at most some batches wait inside. After an error it ends.
pub struct Scan(Pin<Box<dyn Stream<Item = Result<Stored, BusError>> + Send>>);

impl Stream for Scan {
    type Item = Result<Stored, BusError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(cx)
    }
}

impl Bus {
    /// Reads every event on a filter with a sequence from `from_seq` to `to_seq`,
    /// both included; `to_seq` is known to exist, or to have existed. Events that
    /// retention has removed are left out. [`BusError::Behind`] if who answers as the
    /// stream's leader has less than that.
    pub async fn scan(
        &self,
        stream: &StreamName,
        filter: &Subject,
        from_seq: u64,
        to_seq: u64,
    ) -> Scan {
        let (events, bytes) = (SCAN_EVENTS, SCAN_BYTES);
        let portion = Portion { events, bytes };
        self.scan_by(stream, filter, (from_seq, to_seq), portion, true)
    }

    /// As [`Self::scan`], for whoever wants a page: what is fetched at a time is no more
    /// than the page, and no consumer is made however much there is behind it.
    pub async fn scan_page(
        &self,
        stream: &StreamName,
        filter: &Subject,
        range: (u64, u64),
        page: Portion,
    ) -> Scan {
        self.scan_by(stream, filter, range, page, false)
    }

    fn scan_by(
        &self,
        stream: &StreamName,
        filter: &Subject,
        (from_seq, to_seq): (u64, u64),
        portion: Portion,
        consumers: bool,
    ) -> Scan {
        let place = Place {
            bus: self.clone(),
            stream: stream.clone(),
            filter: filter.clone(),
            next: from_seq.max(1),
            to: to_seq,
            portion,
            consumers,
            ready: VecDeque::new(),
            reader: None,
            done: false,
        };
        Scan(Box::pin(futures_util::stream::unfold(
            place,
            |mut place| async move {
                let item = place.next().await?;
                place.done |= item.is_err();
                Some((item, place))
            },
        )))
    }
}

struct Place {
    bus: Bus,
    stream: StreamName,
    filter: Subject,
    /// The first sequence that has not been seen.
    next: u64,
    to: u64,
    portion: Portion,
    /// Whether a long range may have a consumer.
    consumers: bool,
    ready: VecDeque<Stored>,
    /// The consumer of a long range.
    reader: Option<Reader>,
    done: bool,
}

impl Place {
    async fn next(&mut self) -> Option<Result<Stored, BusError>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                if event.seq > self.to {
                    return None;
                }
                self.next = event.seq + 1;
                return Some(Ok(event));
            }
            if self.done || self.next > self.to {
                return None;
            }
            if let Err(error) = self.fill().await {
                return Some(Err(error));
            }
        }
    }

    /// Fetches something, or finds that there is nothing left.
    async fn fill(&mut self) -> Result<(), BusError> {
        if let Some(reader) = self.reader.as_mut().filter(|reader| reader.pending() > 0) {
            match timeout(SCAN_SILENCE, reader.next_batch()).await {
                Ok(batch) => {
                    self.ready.extend(batch?);
                    return Ok(());
                }
                Err(_) => return self.confirm_end().await,
            }
        }
        if self.reader.is_some() {
            return self.confirm_end().await;
        }
        let (stream, filter) = (self.stream.as_str(), self.filter.as_str());
        // A range has no more events than sequences.
        let left = usize::try_from(self.to - self.next).unwrap_or(usize::MAX);
        let limit = self.portion.events.min(left.saturating_add(1));
        let (events, pending) = self
            .bus
            .next_run(stream, filter, self.next, limit, self.portion.bytes)
            .await?;
        let Some(last) = events.last().map(|event| event.seq) else {
            return self.confirm_end().await;
        };
        self.ready.extend(events);
        if self.consumers && last < self.to && pending > SCAN_CONSUMER_THRESHOLD {
            let options = ReaderOptions {
                batch: 4 * SCAN_EVENTS,
                bytes_max: SCAN_BYTES,
            };
            self.reader = Some(
                self.bus
                    .reader(&self.stream, Some(&self.filter), last + 1, options)
                    .await?,
            );
        }
        Ok(())
    }

    /// Asks the leader for the next event; none within the range is the end. One that
    /// a follower did not have yet is taken, and reading goes on after it.
    async fn confirm_end(&mut self) -> Result<(), BusError> {
        self.reader = None;
        match self
            .bus
            .leader_next(self.stream.as_str(), self.filter.as_str(), self.next)
            .await?
        {
            Some(event) if event.seq <= self.to => self.ready.push_back(event),
            _ => {
                // Proof only from a leader that has what the range is known to reach to.
                let state = self.bus.stream_state(&self.stream).await?;
                if state.last_seq < self.to {
                    return Err(BusError::Behind);
                }
                self.done = true;
            }
        }
        Ok(())
    }
}
