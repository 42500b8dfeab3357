//! One event of the lane, sorted: handed to the guest, passed over, or dead.
//!
//! Owns the events of one run. It must not know how an event ends.

use std::collections::VecDeque;
use std::sync::Arc;

use protocol::bus::Stored;
use protocol::header;

use super::messages::Scope;
use super::progress::Key;
use host::event::{self, Event};
use host::pack::Item;

/// What is to be done with an event.
#[derive(Debug)]
pub enum Slot {
    /// The position passes it: it is not for this function, or its channel waits.
    Pass(Stored),
    /// It is for this function, but is no event of ours.
    Foreign {
        /// The message.
        stored: Stored,
        /// Its channel.
        key: Key,
        /// What is wrong with it.
        reason: String,
    },
    /// The guest decides.
    Handle(Arc<Event>),
}

impl Slot {
    /// Sorts an event; those of channels that wait are passed.
    pub fn classify(scope: &Scope, stored: Stored, waits: impl Fn(&Key) -> bool) -> Self {
        let key = match event::address(&stored) {
            Ok(key) => key,
            Err(error) => {
                tracing::warn!(%error, seq = stored.seq, "a message that is no event is passed over");
                return Self::Pass(stored);
            }
        };
        if scope.is_gate() && stored.headers.get(header::GATE).is_none() {
            tracing::warn!(
                seq = stored.seq,
                "an input that names no gate is nobody's and is passed over"
            );
            metrics::counter!("function_inputs_unbound_total").increment(1);
        }
        if !scope.spec.handles(&key.1, &stored.headers) || waits(&key) {
            return Self::Pass(stored);
        }
        match Event::read(key.0.clone(), key.1.clone(), stored) {
            Ok(event) if scope.is_own(&event) => Self::Pass(event.stored),
            Ok(event) => Self::Handle(Arc::new(event)),
            Err(failed) => {
                let (stored, error) = *failed;
                Self::Foreign {
                    stored,
                    key,
                    reason: error.to_string(),
                }
            }
        }
    }

    /// Its sequence and store time.
    pub fn at(&self) -> (u64, u64) {
        let stored = match self {
            Self::Pass(stored) | Self::Foreign { stored, .. } => stored,
            Self::Handle(event) => &event.stored,
        };
        (stored.seq, stored.time_us)
    }

    /// The channel on which it stands and waits, unless it is passed.
    pub fn key(&self) -> Option<Key> {
        match self {
            Self::Pass(_) => None,
            Self::Foreign { key, .. } => Some(key.clone()),
            Self::Handle(event) => Some((event.tenant.clone(), event.place.clone())),
        }
    }

    /// Whether it is run by itself: what it remembers is another channel's than the one it
    /// stands on, and events of that one may be in the same run.
    pub fn is_alone(&self) -> bool {
        matches!(self, Self::Handle(event) if event.is_redriven())
    }

    /// The event as it came.
    pub fn into_stored(self) -> Stored {
        match self {
            Self::Pass(stored) | Self::Foreign { stored, .. } => stored,
            Self::Handle(event) => Arc::unwrap_or_clone(event).stored,
        }
    }
}

/// The events of one run, in order.
#[derive(Debug, Default)]
pub struct Slots(VecDeque<Slot>);

impl Slots {
    /// Adds the next.
    pub fn push(&mut self, slot: Slot) {
        self.0.push_back(slot);
    }

    /// Takes the first.
    pub fn pop(&mut self) -> Option<Slot> {
        self.0.pop_front()
    }

    /// What the guest gets; `failed` says how often an event was tried before.
    pub fn items(&self, failed: impl Fn(u64) -> u32) -> Vec<Item> {
        let handled = self.0.iter().filter_map(|slot| match slot {
            Slot::Handle(event) => Some(event),
            _ => None,
        });
        handled
            .map(|event| Item {
                attempt: failed(event.seq()) + 1,
                event: event.clone(),
                memory: None,
            })
            .collect()
    }

    /// Whether an event of this channel is among them.
    pub fn has(&self, key: &Key) -> bool {
        self.0.iter().any(|slot| slot.key().as_ref() == Some(key))
    }

    /// Gives everything back, to be sorted again.
    pub fn requeue(self, queue: &mut VecDeque<Stored>) {
        for slot in self.0.into_iter().rev() {
            queue.push_front(slot.into_stored());
        }
    }

    /// The same, with an event before them.
    pub fn requeue_with(self, event: Arc<Event>, queue: &mut VecDeque<Stored>) {
        self.requeue(queue);
        queue.push_front(Arc::unwrap_or_clone(event).stored);
    }
}
