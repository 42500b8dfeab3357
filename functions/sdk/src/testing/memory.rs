//! What functions under test remember, by the rules of the host.
//!
//! Owns the memories of a thread, and what the event at hand has changed.

use std::collections::BTreeMap;

use crate::{Event, StateError};

/// Most keys of a channel.
const KEYS_MAX: usize = 256;
/// Longest key, bytes.
const KEY_BYTES_MAX: usize = 256;
/// Most bytes of a channel's keys and values.
const CHANNEL_BYTES_MAX: usize = 128 << 10;

/// Tenant and channel.
type Place = (String, String);

#[derive(Debug, Clone, PartialEq)]
struct Entry {
    value: Vec<u8>,
    /// Microseconds since the Unix epoch; 0: for ever.
    until: u64,
}

/// What is remembered.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Memory {
    channels: BTreeMap<Place, BTreeMap<String, Entry>>,
    /// What stood there before the event at hand changed it.
    before: Vec<(Place, String, Option<Entry>)>,
    /// The index of that event.
    handled: Option<u32>,
}

impl Memory {
    pub(crate) fn get(&self, event: &Event<'_>, key: &str) -> Option<Vec<u8>> {
        let entry = self.channels.get(&place(event))?.get(key)?;
        let alive = entry.until == 0 || event.time_us() < entry.until;
        alive.then(|| entry.value.clone())
    }

    pub(crate) fn put(
        &mut self,
        event: &Event<'_>,
        key: &str,
        value: &[u8],
        ttl_ms: u64,
    ) -> Result<(), StateError> {
        self.check(event);
        if key.is_empty() || key.len() > KEY_BYTES_MAX {
            return Err(StateError::Key);
        }
        let channel = self.channels.entry(place(event)).or_default();
        channel.retain(|_, entry| entry.until == 0 || event.time_us() < entry.until);
        let others = channel.iter().filter(|(other, _)| *other != key);
        let (keys, bytes) = others.fold((1, key.len() + value.len()), |(keys, bytes), (k, e)| {
            (keys + 1, bytes + k.len() + e.value.len())
        });
        if keys > KEYS_MAX || bytes > CHANNEL_BYTES_MAX {
            return Err(StateError::Full);
        }
        let until = match ttl_ms {
            0 => 0,
            ms => event.time_us().saturating_add(ms.saturating_mul(1_000)),
        };
        let value = value.to_owned();
        let old = channel.insert(key.to_owned(), Entry { value, until });
        self.before.push((place(event), key.to_owned(), old));
        Ok(())
    }

    pub(crate) fn delete(&mut self, event: &Event<'_>, key: &str) {
        self.check(event);
        let channel = self.channels.entry(place(event)).or_default();
        if let Some(old) = channel.remove(key) {
            self.before.push((place(event), key.to_owned(), Some(old)));
        }
    }

    /// An event is about to be handled.
    pub(crate) fn begin(&mut self, event: &Event<'_>) {
        self.handled = Some(event.source());
        self.before.clear();
    }

    /// What is written belongs to an event, so it is written while that one is handled.
    fn check(&self, event: &Event<'_>) {
        assert_eq!(
            self.handled,
            Some(event.source()),
            "the memory of an event that is not being handled"
        );
    }

    pub(crate) fn undo(&mut self) {
        while let Some((place, key, old)) = self.before.pop() {
            let channel = self.channels.entry(place).or_default();
            match old {
                Some(old) => drop(channel.insert(key, old)),
                None => drop(channel.remove(&key)),
            }
        }
    }
}

fn place(event: &Event<'_>) -> Place {
    (event.tenant().to_owned(), event.channel().to_owned())
}
