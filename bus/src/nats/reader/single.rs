//! Reading what comes next by itself, in the one form in which any message can be read.
//!
//! After a break of the connection this is one message, for it may be what broke it.
//! Once such a message was found, others are likely to follow, and everything is read so
//! for a while: it is slower, and breaks nothing. Owns no state beside the reader's.

use std::time::Duration;

use tokio::time::Instant;

use super::Reader;
use crate::error::BusError;
use crate::following::Start;
use crate::nats::api::Get;

/// How long everything is read by itself after a message that breaks the connection:
/// one break for ten seconds of them, however many come.
const CAREFUL: Duration = Duration::from_secs(10);
/// Between two looks for something new meanwhile.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);
/// Most messages of one go.
const SINGLES_MAX: usize = 256;

impl Reader {
    fn is_careful(&self) -> bool {
        self.careful_until
            .is_some_and(|until| Instant::now() < until)
    }

    /// Reads the next message, and more of them for as long as they are suspect. True:
    /// it goes on so, without a consumer. Cancel safe: what was read waits in `ready`.
    ///
    /// # Errors
    /// Those of a request.
    pub(super) async fn read_singly(&mut self) -> Result<bool, BusError> {
        let mut next = match self.start {
            _ if self.last > 0 => self.last + 1,
            Start::Seq(seq) => seq,
            // Older ones of a subject may come so; its last one does not fail to.
            Start::LastPerSubject => 1,
        };
        while self.ready.len() < self.options.batch.min(SINGLES_MAX) {
            let query = Get {
                seq: Some(next.max(1)),
                next_by_subj: Some(self.filter.as_deref().unwrap_or(">")),
                ..Get::default()
            };
            let Some(single) = self.bus.leader_single(&self.stream, &query).await? else {
                self.pending = 0;
                if self.is_careful() && self.ready.is_empty() {
                    tokio::time::sleep(LOOK_INTERVAL).await;
                }
                return Ok(self.is_careful());
            };
            if !single.readable {
                self.careful_until = Some(Instant::now() + CAREFUL);
            }
            next = single.event.seq + 1;
            self.last = single.event.seq;
            self.pending = self.pending.saturating_sub(1).max(1);
            self.ready.push(single.event);
            if !self.is_careful() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
