//! What the events of one call remember of their channels, while guests handle them.
//!
//! Owns the memories for the time of a call, and an account of every change, so that
//! what an event has written can be taken back as if it had never been. Must not know
//! how guests are called, nor where memories are kept.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use protocol::name::{Channel, FunctionName, Tenant};
use protocol::state::{Change, ChannelState, Entry, StateError};

use super::pack::Item;
use super::reply::Handled;

/// Ends a stage's name in the keys of what it remembers; no key of a guest has it.
const STAGE_END: char = '\0';
/// Microseconds in a millisecond.
const MS: u64 = 1_000;

/// The memories of the events of a call.
#[derive(Debug, Default)]
pub struct Memories {
    channels: Vec<Arc<ChannelState>>,
    /// Of a later stage of a pipeline: what its keys begin with.
    prefix: String,
    events: HashMap<u64, Place>,
    /// In the order of writing.
    written: Vec<Written>,
}

/// Where an event remembers.
#[derive(Debug, Clone, Copy)]
struct Place {
    channel: usize,
    time_us: u64,
}

#[derive(Debug)]
struct Written {
    seq: u64,
    channel: usize,
    change: Change,
    before: Option<Entry>,
}

/// The event has been followed by another one that wrote to its channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("what an event wrote is taken back after a later event of its channel has written")]
pub struct TooLate;

impl Memories {
    /// The memories that these events begin with; an event without one begins with none.
    /// A stage of a pipeline behind the first has keys of its own.
    pub fn new(stage: Option<&FunctionName>, items: &[Item]) -> Self {
        let mut memories = Self {
            prefix: stage.map_or(String::new(), |name| format!("{name}{STAGE_END}")),
            ..Self::default()
        };
        let mut known: HashMap<(&Tenant, &Channel), usize> = HashMap::new();
        for item in items {
            let event = &*item.event;
            let channel = *known
                .entry((&event.tenant, &event.channel))
                .or_insert_with(|| {
                    memories
                        .channels
                        .push(item.memory.clone().unwrap_or_default());
                    memories.channels.len() - 1
                });
            let time_us = event.stored.time_us;
            memories
                .events
                .insert(event.seq(), Place { channel, time_us });
        }
        memories
    }

    /// Whether no event remembers anything: the function does not ask.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// What the event remembers under a key.
    pub fn get(&self, seq: u64, key: &str) -> Option<&Entry> {
        let Place { channel, time_us } = *self.events.get(&seq)?;
        let key = self.key(key)?;
        self.channels[channel].get(&key, time_us)
    }

    /// The event writes a value, for so many milliseconds; 0: for ever.
    ///
    /// # Errors
    /// [`StateError`]; nothing was written.
    pub fn put(
        &mut self,
        seq: u64,
        key: String,
        value: Vec<u8>,
        ttl_ms: u64,
    ) -> Result<(), StateError> {
        let time_us = self.events.get(&seq).map_or(0, |place| place.time_us);
        let until = match ttl_ms {
            0 => 0,
            ms => time_us.saturating_add(ms.saturating_mul(MS)),
        };
        let value = value.into();
        let key = self.key(&key).ok_or(StateError::Key)?;
        self.write(seq, (key.into(), Some(Entry { value, until })))
    }

    /// The event forgets a key.
    pub fn delete(&mut self, seq: u64, key: String) {
        // A key that cannot be there is not there.
        if let Some(key) = self.key(&key) {
            let _ = self.write(seq, (key.into(), None));
        }
    }

    /// The key as it is stored; `None` if it could be another stage's.
    fn key<'k>(&self, key: &'k str) -> Option<Cow<'k, str>> {
        if key.contains(STAGE_END) {
            return None;
        }
        Some(match self.prefix.as_str() {
            "" => key.into(),
            prefix => format!("{prefix}{key}").into(),
        })
    }

    fn write(&mut self, seq: u64, change: Change) -> Result<(), StateError> {
        let Some(&Place { channel, time_us }) = self.events.get(&seq) else {
            return Err(StateError::Key);
        };
        let before = self.channels[channel].get(&change.0, time_us).cloned();
        Arc::make_mut(&mut self.channels[channel]).apply(change.clone(), time_us)?;
        self.written.push(Written {
            seq,
            channel,
            change,
            before,
        });
        Ok(())
    }

    /// Takes back what the event has written.
    ///
    /// # Errors
    /// [`TooLate`]; nothing was taken back.
    pub fn undo(&mut self, seq: u64) -> Result<(), TooLate> {
        let Some(first) = self.written.iter().position(|written| written.seq == seq) else {
            return Ok(());
        };
        let channel = self.written[first].channel;
        let mut since = self.written[first..].iter();
        if since.any(|written| written.channel == channel && written.seq != seq) {
            return Err(TooLate);
        }
        self.take_back(seq);
        Ok(())
    }

    /// Takes back what these events have written: their call has failed.
    pub fn fail(&mut self, items: &[Item]) {
        // The last first: each finds what the one before it had left.
        for item in items.iter().rev() {
            self.take_back(item.event.seq());
        }
    }

    fn take_back(&mut self, seq: u64) {
        let time_us = self.events.get(&seq).map_or(0, |place| place.time_us);
        let (undone, kept) = std::mem::take(&mut self.written)
            .into_iter()
            .partition(|written| written.seq == seq);
        self.written = kept;
        for Written {
            channel,
            change: (key, _),
            before,
            ..
        } in Vec::into_iter(undone).rev()
        {
            let state = Arc::make_mut(&mut self.channels[channel]);
            let restored = state.apply((key, before), time_us);
            debug_assert_eq!(restored, Ok(()), "what was there had room");
        }
    }

    /// Whether the event has written anything.
    pub fn has_written(&self, seq: u64) -> bool {
        self.written.iter().any(|written| written.seq == seq)
    }

    /// The answers, with what each event has written.
    pub fn settle(self, items: &[Item], mut handled: Vec<Handled>) -> Vec<Handled> {
        let mut changes: HashMap<u64, Vec<Change>> = HashMap::new();
        for written in self.written {
            changes.entry(written.seq).or_default().push(written.change);
        }
        if changes.is_empty() {
            return handled;
        }
        for (item, handled) in items.iter().zip(&mut handled) {
            if let Handled::Ack(done) = handled {
                done.changes = changes.remove(&item.event.seq()).unwrap_or_default();
            }
        }
        handled
    }
}
