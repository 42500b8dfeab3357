//! What a function remembers of a channel, and who may write it: the messages of
//! STATE.
//!
//! A channel's whole memory is one message, so that it is read with one request and
//! replaced in one piece. Pure; times come from the events.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::name::{Channel, Tenant};

/// Most keys of one channel.
pub const KEYS_MAX: usize = 256;
/// Longest key, bytes.
pub const KEY_BYTES_MAX: usize = 256;
/// Most bytes of one channel's keys and values together: with the rest of the message
/// it fits NATS's usual `max_payload` of 1 MiB several times, and a batch of many
/// channels fits a commit.
pub const CHANNEL_BYTES_MAX: usize = 128 << 10;

/// A value that a function remembers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The value.
    #[serde(with = "raw")]
    pub value: Bytes,
    /// From when on it is forgotten, microseconds since 1970, measured by the times of
    /// the channel's events; 0: never.
    pub until: u64,
}

impl Entry {
    /// Whether it is still remembered at the time of an event.
    pub fn is_alive(&self, now_us: u64) -> bool {
        self.until == 0 || now_us < self.until
    }
}

/// A change of one key: the entry that it has from now on, or none.
pub type Change = (Box<str>, Option<Entry>);

/// Why a value is not remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// The key is empty or over [`KEY_BYTES_MAX`].
    #[error("the key is not 1 to {KEY_BYTES_MAX} bytes")]
    Key,
    /// The channel would have more than [`KEYS_MAX`] keys or [`CHANNEL_BYTES_MAX`] bytes.
    #[error("the channel's memory is full: {KEYS_MAX} keys and {CHANNEL_BYTES_MAX} bytes")]
    Full,
}

/// What a function remembers of a channel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChannelState {
    entries: BTreeMap<Box<str>, Entry>,
    bytes: usize,
}

impl ChannelState {
    /// Reads a stored memory; an empty message is an empty one.
    pub fn read(payload: &[u8]) -> Option<Self> {
        if payload.is_empty() {
            return Some(Self::default());
        }
        let entries: BTreeMap<Box<str>, Entry> = rmp_serde::from_slice(payload).ok()?;
        let bytes = entries.iter().map(|(key, entry)| size(key, entry)).sum();
        Some(Self { entries, bytes })
    }

    /// The message that stores it; what is forgotten at this time is left out.
    pub fn to_payload(&self, now_us: u64) -> Bytes {
        let alive: BTreeMap<&str, &Entry> = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.is_alive(now_us))
            .map(|(key, entry)| (&**key, entry))
            .collect();
        if alive.is_empty() {
            return Bytes::new();
        }
        let bytes = rmp_serde::to_vec(&alive).expect("a map of texts and bytes can be written");
        bytes.into()
    }

    /// What a key stands for, at the time of an event.
    pub fn get(&self, key: &str, now_us: u64) -> Option<&Entry> {
        self.entries.get(key).filter(|entry| entry.is_alive(now_us))
    }

    /// Changes a key. What is forgotten at this time makes room first where there is none.
    ///
    /// # Errors
    /// [`StateError`]; nothing is changed then.
    pub fn apply(&mut self, change: Change, now_us: u64) -> Result<(), StateError> {
        let (key, entry) = change;
        if key.is_empty() || key.len() > KEY_BYTES_MAX {
            return Err(StateError::Key);
        }
        let Some(entry) = entry else {
            if let Some(old) = self.entries.remove(&key) {
                self.bytes -= size(&key, &old);
            }
            return Ok(());
        };
        if !self.fits(&key, &entry) {
            self.forget(now_us);
            if !self.fits(&key, &entry) {
                return Err(StateError::Full);
            }
        }
        self.bytes += size(&key, &entry);
        if let Some(old) = self.entries.insert(key.clone(), entry) {
            self.bytes -= size(&key, &old);
        }
        Ok(())
    }

    /// Bytes of its keys and values.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn fits(&self, key: &str, entry: &Entry) -> bool {
        let old = self.entries.get(key);
        let keys = self.entries.len() + usize::from(old.is_none());
        let bytes = self.bytes + size(key, entry) - old.map_or(0, |old| size(key, old));
        keys <= KEYS_MAX && bytes <= CHANNEL_BYTES_MAX
    }

    fn forget(&mut self, now_us: u64) {
        self.entries.retain(|_, entry| entry.is_alive(now_us));
        self.bytes = self
            .entries
            .iter()
            .map(|(key, entry)| size(key, entry))
            .sum();
    }
}

/// Bytes as MessagePack's own byte strings, of which serde knows nothing by itself.
mod raw {
    use bytes::Bytes;
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &Bytes, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Bytes, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Bytes;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a byte string")
            }
            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes::copy_from_slice(bytes))
            }
        }
        from.deserialize_bytes(Visitor)
    }
}

fn size(key: &str, entry: &Entry) -> usize {
    key.len() + entry.value.len()
}

/// Who may write a function's memory on a lane, and what was written last. JSON, on
/// `fence.{store}.{lane}.{function}.{incarnation}`, the last message of each batch on STATE.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fence {
    /// The number of the change: committed once a checkpoint says it or a later one.
    pub generation: u64,
    /// Revision of the lease under which it was written.
    pub lease: u64,
    /// The channels whose memory the batch wrote.
    pub channels: Vec<(Tenant, Channel)>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(bytes: usize, until: u64) -> Entry {
        Entry {
            value: vec![7; bytes].into(),
            until,
        }
    }

    fn put(state: &mut ChannelState, key: &str, bytes: usize) -> Result<(), StateError> {
        state.apply((key.into(), Some(entry(bytes, 0))), 1)
    }

    #[test]
    fn a_channel_remembers_so_much_and_no_more() {
        let mut state = ChannelState::default();
        for n in 0..KEYS_MAX {
            put(&mut state, &format!("k{n:03}"), 1).unwrap();
        }
        assert_eq!(put(&mut state, "one more", 1), Err(StateError::Full));
        put(&mut state, "k000", 2).expect("a key that is there may change");
        let mut state = ChannelState::default();
        put(&mut state, "a", CHANNEL_BYTES_MAX - 1).unwrap();
        assert_eq!(put(&mut state, "b", 0), Err(StateError::Full));
        put(&mut state, "a", 10).unwrap();
        put(&mut state, "b", CHANNEL_BYTES_MAX - 12).unwrap();
        assert_eq!(state.bytes(), CHANNEL_BYTES_MAX);
        for key in ["", &"k".repeat(KEY_BYTES_MAX + 1)] {
            assert_eq!(put(&mut state, key, 0), Err(StateError::Key));
        }
    }

    #[test]
    fn what_has_had_its_time_is_forgotten_and_makes_room() {
        let mut state = ChannelState::default();
        state.apply(("a".into(), Some(entry(100, 10))), 1).unwrap();
        assert!(state.get("a", 9).is_some() && state.get("a", 10).is_none());
        assert!(state.to_payload(10).is_empty());
        let large = entry(CHANNEL_BYTES_MAX - 50, 0);
        let change = ("b".into(), Some(large));
        assert_eq!(state.apply(change.clone(), 9), Err(StateError::Full));
        assert_eq!(state.apply(change, 10), Ok(()));
    }

    proptest! {
        #[test]
        fn a_memory_is_read_as_it_was_written(changes in prop::collection::vec(("[a-d]{1,2}", prop::option::of(prop::collection::vec(any::<u8>(), 0..20))), 0..30)) {
            let mut state = ChannelState::default();
            for (key, value) in changes {
                let entry = value.map(|value| Entry { value: value.into(), until: 0 });
                state.apply((key.into(), entry), 1).unwrap();
            }
            prop_assert_eq!(ChannelState::read(&state.to_payload(1)), Some(state));
        }

        #[test]
        fn any_bytes_are_a_memory_or_none(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = ChannelState::read(&bytes);
        }
    }
}
