//! Keys and until when each of them counts, in the memory of an event's channel: who has
//! written how much of late, what has been seen before.
//!
//! Owns how they are kept: each by 128 bits of its hash and a time, packed into parts by
//! the hash, so that an event reads and writes one part alone. A part that is full
//! forgets the key whose time ends first, and says so. Must not know what a key means.

use std::time::Duration;

use sdk::{Event, State, StateError};
use xxhash_rust::xxh3::xxh3_128;

/// Parts; each is one key of the channel's memory, which has 256.
const PARTS: u8 = 128;
/// Most keys of a part: with all parts full, the memory's 128 KiB have room for about
/// a kibibyte besides.
pub const PART_KEYS_MAX: usize = 42;
/// Bytes of a hash, and of a time.
const HASH: usize = size_of::<u128>();
const TIME: usize = size_of::<u64>();
/// What a channel's memory holds, and what this library leaves to its function.
const MEMORY_BYTES: usize = 128 << 10;
const LEFT: usize = 1 << 10;
/// Bytes of the name of a part.
const NAME: usize = 3;

const _: () =
    assert!(PARTS as usize * (NAME + PART_KEYS_MAX * (HASH + TIME)) <= MEMORY_BYTES - LEFT);

/// The keys of an event's channel, at the time of the event.
///
/// Up to some 3,000 keys that count have room. Beyond that, those whose time ends first
/// are forgotten early.
#[derive(Debug, Clone, Copy)]
pub struct RecentKeys<'a> {
    state: State<'a>,
    now_us: u64,
}

/// What became of a key that was to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// There was room for it.
    Beside,
    /// Another key, which still counted, was forgotten for it.
    InsteadOfAnother,
}

impl<'a> RecentKeys<'a> {
    /// The keys of this event's channel.
    #[must_use]
    pub fn of(event: &Event<'a>) -> Self {
        Self {
            state: State::of(event),
            now_us: event.time_us(),
        }
    }

    /// Until when a key counts, microseconds since 1970; nothing if it does not.
    #[must_use]
    pub fn until(&self, key: &str) -> Option<u64> {
        let hash = xxh3_128(key.as_bytes());
        let entries = self.read(&part(hash));
        let found = entries.into_iter().find(|(other, _)| *other == hash);
        found.map(|(_, until)| until)
    }

    /// A key counts until then, microseconds since 1970.
    ///
    /// # Errors
    /// [`StateError::Full`], if the function remembers more of its own than there is room
    /// for.
    pub fn keep(&self, key: &str, until_us: u64) -> Result<Kept, StateError> {
        let hash = xxh3_128(key.as_bytes());
        let part = part(hash);
        let mut entries = self.read(&part);
        entries.retain(|(other, _)| *other != hash);
        // The order of the times is that of what is forgotten; the hash decides between
        // equal ones.
        entries.sort_unstable_by_key(|(hash, until)| (*until, *hash));
        let kept = if entries.len() < PART_KEYS_MAX {
            Kept::Beside
        } else {
            entries.remove(0);
            Kept::InsteadOfAnother
        };
        entries.push((hash, until_us));
        let last = entries.iter().map(|(_, until)| *until).max();
        let left = last.unwrap_or(0).saturating_sub(self.now_us);
        // A millisecond more: what is left of one counts.
        let time = Duration::from_micros(left) + Duration::from_millis(1);
        self.state.put_for(&part, write(&entries), time)?;
        Ok(kept)
    }

    /// The keys of a part that count at the time of the event.
    fn read(&self, part: &str) -> Vec<(u128, u64)> {
        let bytes = self.state.get(part).unwrap_or_default();
        let (entries, _) = bytes.as_chunks::<{ HASH + TIME }>();
        let entries = entries.iter().filter_map(|entry| {
            let (hash, time) = entry.split_first_chunk::<HASH>()?;
            let until = u64::from_le_bytes(time.try_into().ok()?);
            Some((u128::from_le_bytes(*hash), until))
        });
        entries.filter(|(_, until)| *until > self.now_us).collect()
    }
}

/// The name of the part that a key is in.
fn part(hash: u128) -> String {
    let [first, ..] = hash.to_le_bytes();
    format!("k{:02x}", first % PARTS)
}

fn write(entries: &[(u128, u64)]) -> Vec<u8> {
    let bytes = entries.iter().flat_map(|(hash, until)| {
        let hash = hash.to_le_bytes().into_iter();
        hash.chain(until.to_le_bytes())
    });
    bytes.collect()
}

#[cfg(test)]
mod tests;
