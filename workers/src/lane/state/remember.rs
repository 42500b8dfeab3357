//! What a run needs to know of its channels before it begins, and what it leaves.
//!
//! Owns nothing of its own: it is part of the state machine.

use std::collections::BTreeSet;

use protocol::state::{Change, ChannelState};

use super::{Action, Flight, Machine};
use crate::lane::progress::{Key, Memory};
use host::event::Event;
use host::pack::Item;

impl Machine {
    /// Begins a run, or reads first what is remembered of its channels.
    pub(super) fn begin(&mut self, flight: Flight, mut items: Vec<Item>) -> Action {
        if !self.scope.remembers {
            self.flight = Some(flight);
            return Action::Run(items);
        }
        let mut missing = BTreeSet::new();
        for item in &mut items {
            let key = key(&item.event);
            item.memory = self.memories.get(&key);
            if item.memory.is_none() {
                missing.insert(key);
            }
        }
        if missing.is_empty() {
            self.flight = Some(flight);
            return Action::Run(items);
        }
        self.flight = Some(Flight::Recall(Box::new(flight), items));
        Action::Recall(missing.into_iter().collect())
    }

    /// What is remembered of the channels that were asked for. Returns the run.
    ///
    /// # Panics
    /// If nothing was asked for, or one of them is missing.
    pub fn recalled(&mut self, read: Vec<(Key, ChannelState)>) -> Action {
        for (key, state) in read {
            self.memories.insert(key, state);
        }
        match self.flight.take() {
            Some(Flight::Recall(flight, items)) => match self.begin(*flight, items) {
                Action::Recall(keys) => panic!("{} channels were not read", keys.len()),
                run => run,
            },
            other => panic!("memories come while {other:?} is under way"),
        }
    }

    /// What an event has left, to be stored with the rest of its effect.
    pub(super) fn remember(&mut self, event: &Event, changes: Vec<Change>) -> Option<Memory> {
        let (key, time_us) = (key(event), event.stored.time_us);
        let state = self.memories.write(&key, changes, time_us)?;
        Some(Memory {
            key,
            state,
            time_us,
        })
    }
}

/// Whose memory an event has: its channel's, wherever it stands.
fn key(event: &Event) -> Key {
    (event.tenant.clone(), event.channel.clone())
}
