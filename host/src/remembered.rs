//! What a function remembers where no lane keeps it: history that is run again, and
//! recorded events.
//!
//! Owns the memories, for as long as such a run lasts.

use std::collections::HashMap;
use std::sync::Arc;

use protocol::name::{Channel, Tenant};
use protocol::state::ChannelState;

use super::pack::Item;
use super::reply::Handled;

/// The memories of a run, by channel; it begins with none.
#[derive(Debug, Default)]
pub struct Remembered(HashMap<(Tenant, Channel), Arc<ChannelState>>);

impl Remembered {
    /// Gives an event what is remembered of its channel.
    pub fn give(&mut self, item: &mut Item) {
        item.memory = Some(self.0.entry(key(item)).or_default().clone());
    }

    /// Takes in what an event has left.
    pub fn take(&mut self, item: &Item, handled: &Handled) {
        let Handled::Ack(done) = handled else {
            return;
        };
        if done.changes.is_empty() {
            return;
        }
        let memory = Arc::make_mut(self.0.entry(key(item)).or_default());
        for change in &done.changes {
            let applied = memory.apply(change.clone(), item.event.stored.time_us);
            applied.expect("the host has applied the same to the same");
        }
    }
}

fn key(item: &Item) -> (Tenant, Channel) {
    (item.event.tenant.clone(), item.event.channel.clone())
}
