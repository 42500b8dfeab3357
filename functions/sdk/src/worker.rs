//! The trait that authors implement, and the instance behind the exports.
//!
//! [`Slot`] owns the one worker of an instance. Must not know who calls it: the
//! generated exports in a guest, the test runner natively.

use std::cell::RefCell;
use std::time::Duration;

use crate::bindings::{Batch, OutcomeRef, Reply, Verdict};
use crate::emitter::{NOTHING, append, position};
#[cfg(target_arch = "wasm32")]
use crate::log;
use crate::{Config, Emitter, Event, Outcome, State};

/// A function. See the crate's first page for an example.
pub trait Worker: Sized + 'static {
    /// Makes an instance. Called once for each instance, before any event.
    ///
    /// # Errors
    ///
    /// A text that says what is wrong with the configuration. The function does
    /// not start, and nothing is lost.
    fn init(config: &Config) -> Result<Self, String>;

    /// Handles one event. Events of one channel come in their order, an event
    /// that is retried before its successors.
    ///
    /// What `self` remembers is a cache: the host may start a fresh instance
    /// between any two events, and may hand over an event again. A panic discards
    /// the instance and counts as a failed attempt of the event that caused it.
    fn handle(&mut self, event: &Event<'_>, out: &mut Emitter<'_>) -> Outcome;
}

/// Holds the worker of an instance between calls.
#[derive(Debug)]
pub struct Slot<W>(RefCell<Option<W>>);

impl<W: Worker> Slot<W> {
    /// An instance that `init` has not been called on.
    #[must_use]
    pub const fn new() -> Self {
        Self(RefCell::new(None))
    }

    /// What the export `init` does.
    ///
    /// # Errors
    ///
    /// What the worker says of its configuration.
    pub fn init(&self, pairs: Vec<(String, String)>) -> Result<(), String> {
        // The default hook prints to standard error, which a guest does not have.
        #[cfg(target_arch = "wasm32")]
        std::panic::set_hook(Box::new(|panic| log::error(&panic.to_string())));
        let worker = W::init(&pairs.into_iter().collect())?;
        self.0.replace(Some(worker));
        Ok(())
    }

    /// What the export `handle` does.
    ///
    /// # Panics
    ///
    /// When `init` has not been called or has failed, which the host prevents.
    #[must_use]
    pub fn handle(&self, batch: &Batch) -> Reply {
        let mut worker = self.0.borrow_mut();
        let worker = worker.as_mut().expect("the host calls init first");
        dispatch(worker, batch)
    }
}

impl<W: Worker> Default for Slot<W> {
    fn default() -> Self {
        Self::new()
    }
}

fn dispatch<W: Worker>(worker: &mut W, batch: &Batch) -> Reply {
    let mut reply = Reply {
        outcomes: Vec::with_capacity(batch.events.len()),
        emits: Vec::with_capacity(batch.events.len()),
        arena: Vec::with_capacity(batch.arena.len()),
    };
    // Channels with an event to retry: the host hands their later events over
    // again, so handling them now would be out of order.
    let mut parked: Vec<(&str, &str)> = Vec::new();
    for (index, entry) in batch.events.iter().enumerate() {
        let event = Event::new(entry, &batch.arena, position(index));
        if !parked.is_empty() && parked.contains(&(event.tenant(), event.channel())) {
            let waits = Outcome::retry(Duration::ZERO, "waits for an earlier event");
            settle(&mut reply, &waits);
            continue;
        }
        let (emits, bytes) = (reply.emits.len(), reply.arena.len());
        let state = State::of(&event);
        state.begin();
        let mut emitter = Emitter::new(&mut reply, event, position(index));
        let outcome = worker.handle(&event, &mut emitter);
        if outcome != Outcome::Ack {
            reply.emits.truncate(emits);
            reply.arena.truncate(bytes);
            state.undo();
        }
        settle(&mut reply, &outcome);
        match outcome {
            Outcome::Retry { .. } => parked.push((event.tenant(), event.channel())),
            Outcome::Halt { .. } => break,
            Outcome::Ack | Outcome::Drop { .. } | Outcome::Reject { .. } => {}
        }
    }
    // After a halt nothing is handled, but each event has its outcome.
    while reply.outcomes.len() < batch.events.len() {
        settle(&mut reply, &Outcome::halt("halted by an earlier event"));
    }
    reply
}

fn settle(reply: &mut Reply, outcome: &Outcome) {
    let (verdict, delay, reason) = match outcome {
        Outcome::Ack => (Verdict::Ack, Duration::ZERO, None),
        Outcome::Drop { reason } => (Verdict::Drop, Duration::ZERO, Some(reason)),
        Outcome::Reject { reason } => (Verdict::Reject, Duration::ZERO, Some(reason)),
        Outcome::Retry { delay, reason } => (Verdict::Retry, *delay, Some(reason)),
        Outcome::Halt { reason } => (Verdict::Halt, Duration::ZERO, Some(reason)),
    };
    let reason = reason.map_or(NOTHING, |text| append(&mut reply.arena, text.as_bytes()));
    reply.outcomes.push(OutcomeRef {
        verdict,
        // Seven weeks; the host caps delays far below that.
        delay_ms: u32::try_from(delay.as_millis()).unwrap_or(u32::MAX),
        reason,
    });
}

#[cfg(test)]
mod tests;
