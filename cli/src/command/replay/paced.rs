//! A read that takes its time: events as far apart as they were stored, or a part of it.
//!
//! A bridge sends away whoever takes nothing for a while. So a read that was ended goes on
//! from the last token, and what came after that one and was given is left out.
//!
//! Owns the read.

use std::collections::BTreeSet;
use std::time::Duration;

use client::replay::{
    ReplayClient, ReplayError, ReplayItem, ReplayRequest, ReplayStart, ReplayStream,
};
use futures_util::StreamExt;
use tokio::time::Instant;

/// How often a read that was ended is begun again without having given anything.
const AGAIN_MAX: u32 = 5;
/// Wait before it.
const AGAIN_INTERVAL: Duration = Duration::from_secs(1);

/// When each event is due.
#[derive(Debug)]
pub(super) struct Pace {
    times: f64,
    /// When the first event was given, and when it had been stored, microseconds.
    begun: Option<(Instant, u64)>,
}

impl Pace {
    /// So many times the speed at which events were stored.
    pub(super) fn new(times: f64) -> Self {
        Self { times, begun: None }
    }

    /// When an event is due that was stored at a time; the first one at once.
    pub(super) fn due(&mut self, time_us: u64) -> Instant {
        let (begun, first) = *self.begun.get_or_insert_with(|| (Instant::now(), time_us));
        // Order is by channel: another one's may be older.
        let since = Duration::from_micros(time_us.saturating_sub(first));
        begun + since.div_f64(self.times)
    }
}

/// A read that goes on where it was ended.
pub(super) struct Reading<'a> {
    client: &'a ReplayClient,
    request: ReplayRequest,
    items: ReplayStream,
    /// Sequences given since the last token: those of one response.
    given: BTreeSet<u64>,
    /// Those of them that may come again.
    again: BTreeSet<u64>,
    failed: u32,
}

impl<'a> Reading<'a> {
    /// Begins.
    ///
    /// # Errors
    /// The bridge refuses.
    pub(super) async fn begin(
        client: &'a ReplayClient,
        request: ReplayRequest,
    ) -> Result<Self, ReplayError> {
        Ok(Self {
            items: client.read(request.clone()).await?,
            client,
            request,
            given: BTreeSet::new(),
            again: BTreeSet::new(),
            failed: 0,
        })
    }

    /// What comes next; `None`: nothing.
    ///
    /// # Errors
    /// One that waiting does not mend.
    pub(super) async fn next(&mut self) -> Result<Option<ReplayItem>, ReplayError> {
        loop {
            match self.items.next().await {
                Some(Err(error)) if error.is_temporary() && self.failed < AGAIN_MAX => {
                    self.resume().await;
                }
                Some(Err(error)) => return Err(error),
                None => return Ok(None),
                Some(Ok(ReplayItem::Event(event))) if self.again.remove(&event.seq) => {
                    self.given.insert(event.seq);
                }
                Some(Ok(item)) => {
                    self.took(&item);
                    return Ok(Some(item));
                }
            }
        }
    }

    fn took(&mut self, item: &ReplayItem) {
        self.failed = 0;
        match item {
            ReplayItem::Event(event) => {
                self.given.insert(event.seq);
            }
            ReplayItem::Token(token) => {
                self.given.clear();
                self.again.clear();
                self.request.start = ReplayStart::Token(token.clone());
            }
            ReplayItem::Gap(_) | ReplayItem::CaughtUp | ReplayItem::End => {}
        }
    }

    /// Goes on behind the last token; a failure comes again as the next item's.
    async fn resume(&mut self) {
        self.failed += 1;
        if self.failed > 1 {
            tokio::time::sleep(AGAIN_INTERVAL).await;
        }
        if let Ok(items) = self.client.read(self.request.clone()).await {
            self.items = items;
            self.again.append(&mut self.given);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn events_are_as_far_apart_as_they_were_stored() {
        let mut pace = Pace::new(2.0);
        let begun = Instant::now();
        assert_eq!(pace.due(10_000_000), begun);
        tokio::time::advance(Duration::from_secs(9)).await;
        assert_eq!(pace.due(14_000_000), begun + Duration::from_secs(2));
        assert_eq!(
            pace.due(9_000_000),
            begun,
            "an older one of another channel"
        );
    }
}
