//! What a function remembers of a lane's channels, as far as it has been read: as it
//! is committed, and after everything that is staged.
//!
//! Owns that copy, within a bound of bytes; what is not staged can be read again and is
//! let go first. It must not know how memories are stored.

use std::collections::HashMap;
use std::sync::Arc;

use protocol::state::{Change, ChannelState};

use super::progress::Key;

/// Most bytes of memories that a lane keeps, unless what is staged alone has more:
/// what is let go costs one read when its channel comes again.
pub const MEMORY_BYTES_MAX: usize = 4 << 20;
/// What an empty memory takes beside its keys and values, about.
const ENTRY_BYTES: usize = 200;

#[derive(Debug)]
struct Remembered {
    state: Arc<ChannelState>,
    /// Effects that hold it and are not committed.
    staged: usize,
    /// When it was used last, in uses.
    used: u64,
}

/// The memories of one lane.
#[derive(Debug, Default)]
pub struct Memories {
    channels: HashMap<Key, Remembered>,
    bytes: usize,
    uses: u64,
}

impl Memories {
    /// A channel's memory, if it has been read.
    pub fn get(&mut self, key: &Key) -> Option<Arc<ChannelState>> {
        self.uses += 1;
        let remembered = self.channels.get_mut(key)?;
        remembered.used = self.uses;
        Some(remembered.state.clone())
    }

    /// Takes in what was read.
    pub fn insert(&mut self, key: Key, state: ChannelState) {
        self.uses += 1;
        self.bytes += size(&state);
        let remembered = Remembered {
            state: Arc::new(state),
            staged: 0,
            used: self.uses,
        };
        if let Some(old) = self.channels.insert(key, remembered) {
            self.bytes -= size(&old.state);
        }
    }

    /// Applies what an event at `time_us` has written; the effect that holds the result
    /// is to be told of when it is committed. `None` if nothing was written.
    ///
    /// # Panics
    /// If the channel's memory was never read, or a change is one that the host refuses.
    pub fn write(
        &mut self,
        key: &Key,
        changes: Vec<Change>,
        time_us: u64,
    ) -> Option<Arc<ChannelState>> {
        if changes.is_empty() {
            return None;
        }
        let remembered = self
            .channels
            .get_mut(key)
            .expect("a guest gets what is remembered before it writes");
        let mut state = ChannelState::clone(&remembered.state);
        for change in changes {
            let applied = state.apply(change, time_us);
            applied.expect("the host has applied the same to the same");
        }
        self.bytes += size(&state);
        self.bytes -= size(&remembered.state);
        remembered.state = Arc::new(state);
        remembered.staged += 1;
        Some(remembered.state.clone())
    }

    /// An effect that held a memory is committed.
    pub fn committed(&mut self, key: &Key) {
        if let Some(remembered) = self.channels.get_mut(key) {
            remembered.staged -= 1;
        }
    }

    /// Lets go what was not used for longest, down to the bound; what is staged stays.
    pub fn shrink(&mut self) {
        if self.bytes <= MEMORY_BYTES_MAX {
            return;
        }
        let idle = self.channels.iter().filter(|(_, kept)| kept.staged == 0);
        let mut idle: Vec<(u64, Key)> = idle.map(|(key, kept)| (kept.used, key.clone())).collect();
        idle.sort_by_key(|(used, _)| *used);
        for (_, key) in idle {
            // Half of it, so that this is not done again at once.
            if self.bytes <= MEMORY_BYTES_MAX / 2 {
                return;
            }
            if let Some(gone) = self.channels.remove(&key) {
                self.bytes -= size(&gone.state);
            }
        }
    }
}

fn size(state: &ChannelState) -> usize {
    state.bytes() + ENTRY_BYTES
}

#[cfg(test)]
mod tests {
    use protocol::name::{Channel, Tenant};
    use protocol::state::Entry;

    use super::*;

    fn key(n: usize) -> Key {
        let channel = Channel::parse(&format!("doc.{n}")).unwrap();
        (Tenant::parse("acme").unwrap(), channel)
    }

    fn large() -> Change {
        let value = vec![7; 64 << 10].into();
        ("k".into(), Some(Entry { value, until: 0 }))
    }

    #[test]
    fn what_is_staged_stays_and_the_rest_keeps_within_its_bound() {
        let mut memories = Memories::default();
        for n in 0..100 {
            memories.insert(key(n), ChannelState::default());
            assert!(memories.write(&key(n), vec![large()], 1).is_some());
        }
        memories.shrink();
        assert!(memories.bytes > MEMORY_BYTES_MAX);
        assert!((0..100).all(|n| memories.get(&key(n)).is_some()));
        (0..100).for_each(|n| memories.committed(&key(n)));
        memories.get(&key(3));
        memories.shrink();
        assert!(memories.bytes <= MEMORY_BYTES_MAX / 2);
        assert!(memories.get(&key(3)).is_some(), "it was used last");
        assert!(memories.get(&key(4)).is_none());
    }

    #[test]
    fn nothing_written_is_nothing_to_store() {
        let mut memories = Memories::default();
        memories.insert(key(1), ChannelState::default());
        assert!(memories.write(&key(1), Vec::new(), 1).is_none());
    }
}
