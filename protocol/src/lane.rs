//! Which lane a channel belongs to: the unit of ownership and parallelism for
//! functions, fixed for the life of a store.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use crate::name::{Channel, Tenant};

/// Lanes of a store unless it says otherwise.
pub const LANES_DEFAULT: u16 = 16;
/// Most lanes of a store: each costs a consumer and a checkpoint per function.
pub const LANES_MAX: u16 = 1024;

/// A lane's number, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Lane(pub u16);

impl Lane {
    /// `xxh3_64(tenant, 0x00, channel) mod lanes`.
    ///
    /// # Panics
    /// If `lanes` is 0; a store's spec is checked for that.
    pub fn of(tenant: &Tenant, channel: &Channel, lanes: u16) -> Self {
        let mut hash = Xxh3::new();
        hash.update(tenant.as_str().as_bytes());
        hash.update(&[0]);
        hash.update(channel.as_str().as_bytes());
        Self((hash.digest() % u64::from(lanes)) as u16)
    }
}

impl std::fmt::Display for Lane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_are_stable_and_spread() {
        let tenant = Tenant::parse("acme").unwrap();
        let of = |channel: &str, lanes| Lane::of(&tenant, &Channel::parse(channel).unwrap(), lanes);
        let lane = |n: u32| of(&format!("doc.{n}"), 16);
        // Fixed values, which any xxh3 gives: a change would move channels between owners, and
        // every store that exists would look for its events in other lanes.
        let fixed = [
            of("doc.1", 16),
            of("doc.2", 16),
            of("chat.lobby", 16),
            of("a", 1_024),
        ];
        assert_eq!(fixed, [Lane(10), Lane(4), Lane(3), Lane(1_022)]);
        let mut used = [0; 16];
        (0..1600).for_each(|n| used[usize::from(lane(n).0)] += 1);
        assert!(used.iter().all(|count| *count > 50), "{used:?}");
    }
}
