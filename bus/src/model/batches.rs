//! Batches that are being staged (ADR-50). Pure; time is given.

use std::collections::BTreeMap;

use super::message::Message;
use crate::error::BusError;
use crate::limits::BATCH_EVENTS_MAX;

/// Batches that a stream has open at a time; the server's default.
pub(super) const OPEN_MAX: usize = 50;
/// How long an open batch may stand still before it is given up, in microseconds.
pub(super) const IDLE_US: u64 = 10_000_000;

/// The server's codes.
const INCOMPLETE: u64 = 10_176;
const TOO_LARGE: u64 = 10_199;
const TOO_MANY_OPEN: u64 = 10_210;

#[derive(Debug)]
struct Open {
    messages: Vec<Message>,
    touched_us: u64,
}

/// The open batches of a stream.
#[derive(Debug, Default)]
pub(super) struct Batches(BTreeMap<u128, Open>);

impl Batches {
    /// Takes the `n`-th message of a batch, counted from 1.
    ///
    /// # Errors
    /// [`BusError::BatchBusy`] for the first one past the most open batches,
    /// [`BusError::BatchAbandoned`] for one whose predecessor is not there: the batch
    /// is given up.
    pub(super) fn stage(
        &mut self,
        id: u128,
        n: usize,
        message: Message,
        now_us: u64,
    ) -> Result<(), BusError> {
        self.0
            .retain(|_, open| open.touched_us.saturating_add(IDLE_US) > now_us);
        if n == 1 && !self.0.contains_key(&id) {
            if self.0.len() >= OPEN_MAX {
                return Err(refusal(TOO_MANY_OPEN, "too many batches are open"));
            }
            let open = Open {
                messages: Vec::new(),
                touched_us: now_us,
            };
            self.0.insert(id, open);
        }
        let Some(open) = self.0.get_mut(&id) else {
            return Err(refusal(INCOMPLETE, "the batch is incomplete"));
        };
        if n != open.messages.len() + 1 {
            self.0.remove(&id);
            return Err(refusal(INCOMPLETE, "the batch is incomplete"));
        }
        if n > BATCH_EVENTS_MAX {
            self.0.remove(&id);
            return Err(refusal(TOO_LARGE, "the batch is too large"));
        }
        open.messages.push(message);
        open.touched_us = now_us;
        Ok(())
    }

    /// Takes a whole batch out, to be stored or refused.
    pub(super) fn close(&mut self, id: u128) -> Vec<Message> {
        self.0.remove(&id).map_or(Vec::new(), |open| open.messages)
    }

    /// Gives up all of them, as a new leader does.
    pub(super) fn abandon(&mut self) {
        self.0.clear();
    }
}

fn refusal(code: u64, description: &str) -> BusError {
    BusError::from_api(code, description.into())
}
