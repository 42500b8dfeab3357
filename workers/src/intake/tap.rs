//! One function's place at an intake.
//!
//! Owns its position, and a reader of its own while the intake cannot serve it.

use std::sync::Arc;

use bus::{Bus, BusError, Reader};
use protocol::bus::Stored;
use tokio::sync::watch;
use tokio::time::sleep;

use super::place::{AGAIN, Found, Intake};
use super::settled::settled;

/// Why nothing more comes to anybody at the place; whoever attaches anew may succeed.
#[derive(Debug, Clone, thiserror::Error)]
#[error(transparent)]
pub struct TapError(Arc<BusError>);

/// Follows a place in order from a position on.
pub struct Tap {
    intake: Arc<Intake>,
    bus: Bus,
    news: watch::Receiver<()>,
    /// Everything up to here was returned, or is not there.
    cursor: u64,
    own: Option<Reader>,
    /// Why it cannot read by itself for now, where it has to.
    refused: Option<String>,
    /// What was told last of why nothing can be read.
    told: Option<String>,
}

impl Tap {
    /// Of an intake that counts it already.
    pub(super) fn new(intake: Arc<Intake>, bus: Bus, from: u64) -> Self {
        Self {
            bus,
            news: intake.news.subscribe(),
            cursor: from.saturating_sub(1),
            own: None,
            refused: None,
            told: None,
            intake,
        }
    }

    /// How many events wait behind the last one that was returned, as far as is known.
    pub fn pending(&self) -> u64 {
        match &self.own {
            Some(own) => own.pending(),
            None => self.intake.pending(self.cursor),
        }
    }

    /// Why nothing can be read for now, in words.
    pub fn refused(&self) -> Option<String> {
        self.refused.clone().or_else(|| self.intake.refused())
    }

    /// Waits for at least one event and returns what is ready, at most one batch; nothing,
    /// when [`Self::refused`] says something else. Cancel safe: what was not returned
    /// comes with the next call.
    ///
    /// # Errors
    /// [`TapError`], as [`Reader::next_batch`] has them: what is temporary is tried again
    /// inside, and told.
    pub async fn next_batch(&mut self) -> Result<Vec<Stored>, TapError> {
        loop {
            // Before it is looked: what comes meanwhile is not slept through.
            self.news.mark_unchanged();
            let refused = self.refused();
            if refused != self.told {
                self.told = refused;
                return Ok(Vec::new());
            }
            let found = self.intake.take(self.cursor).map_err(TapError)?;
            match found {
                Found::Events(events) => {
                    (self.own, self.refused) = (None, None);
                    return Ok(self.returned(events));
                }
                Found::Nothing => {
                    (self.own, self.refused) = (None, None);
                    // The sender is the intake's, which lives as long as this.
                    let _ = self.news.changed().await;
                }
                Found::Elsewhere => match self.read_alone().await {
                    Ok(Some(events)) => return Ok(self.returned(events)),
                    Ok(None) => {}
                    Err(error) if error.temporary() => {
                        let place = &self.intake.place;
                        tracing::warn!(%error, stream = %place.stream, filter = %place.filter, "a function of a lane cannot read by itself for now");
                        self.refused = Some(error.to_string());
                        sleep(AGAIN).await;
                    }
                    Err(error) => return Err(error.into()),
                },
            }
        }
    }

    fn returned(&mut self, events: Vec<Stored>) -> Vec<Stored> {
        self.cursor = events.last().map_or(self.cursor, |event| event.seq);
        events
    }

    /// Reads what lies before the intake's window; `None`: there is nothing, and it can
    /// be joined.
    async fn read_alone(&mut self) -> Result<Option<Vec<Stored>>, BusError> {
        let place = &self.intake.place;
        let is_dry = self.own.as_ref().is_none_or(|own| own.pending() == 0);
        if is_dry && !self.intake.covers(self.cursor) {
            let (stream, filter) = (&place.stream, &place.filter);
            if let Some(end) = settled(&self.bus, stream, filter, self.cursor).await? {
                self.cursor = end;
                if self.intake.covers(end) {
                    return Ok(None);
                }
            }
        }
        let own = match &mut self.own {
            Some(own) => own,
            none => {
                metrics::counter!("lane_readers_alone_total").increment(1);
                let (from, options) = (self.cursor + 1, self.intake.options);
                let opening = self
                    .bus
                    .reader(&place.stream, Some(&place.filter), from, options);
                let own = none.insert(opening.await?);
                self.refused = None;
                own
            }
        };
        own.next_batch().await.map(Some)
    }
}

impl TapError {
    /// Whether waiting helps.
    pub fn temporary(&self) -> bool {
        self.0.temporary()
    }
}

impl From<BusError> for TapError {
    fn from(error: BusError) -> Self {
        Self(Arc::new(error))
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.intake.leave();
    }
}
