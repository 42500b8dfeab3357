//! Where a client stands on each of its channels, in one opaque text that needs no
//! escape in a URL, a header or an event: `1` and, for each epoch, `~`, the epoch, and
//! for each channel of it `.`, the 64-bit XXH3 of the channel's name, `-` and the
//! sequence after which deliveries go on, both in hexadecimal digits.
//!
//! Pure. Names are hashed, so that the text stays short however long they are: an event
//! carries it.

use std::collections::BTreeMap;

use protocol::position::{Epoch, Position};
use xxhash_rust::xxh3::xxh3_64;

/// Channels of one request: their places, and their names in a URL, have to fit the
/// head of a request.
pub const CHANNELS_MAX: usize = 32;
/// Longest text, bytes: each channel with an epoch of its own.
const TEXT_BYTES_MAX: usize = 2 * 1024;
/// What the text begins with.
const VERSION: &str = "1";

fn channel_hash(channel: &str) -> u64 {
    xxh3_64(channel.as_bytes())
}

/// Places, by the hash of their channels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places(BTreeMap<u64, (Epoch, u64)>);

impl Places {
    /// Reads a text; `None` if it is none of ours.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > TEXT_BYTES_MAX {
            return None;
        }
        let mut groups = text.split('~');
        if groups.next() != Some(VERSION) {
            return None;
        }
        let mut places = BTreeMap::new();
        for group in groups {
            let mut parts = group.split('.');
            let epoch = Epoch::parse(parts.next()?)?;
            for part in parts {
                let (hash, seq) = part.split_once('-')?;
                let number = |text| u64::from_str_radix(text, 16).ok();
                places.insert(number(hash)?, (epoch.clone(), number(seq)?));
            }
        }
        (places.len() <= CHANNELS_MAX).then_some(Self(places))
    }

    /// The text.
    pub fn text(&self) -> String {
        use std::fmt::Write;
        let mut groups: BTreeMap<&str, Vec<(u64, u64)>> = BTreeMap::new();
        for (hash, (epoch, seq)) in &self.0 {
            groups
                .entry(epoch.as_str())
                .or_default()
                .push((*hash, *seq));
        }
        let mut text = String::from(VERSION);
        for (epoch, places) in groups {
            // Writing to a text does not fail.
            let _ = write!(text, "~{epoch}");
            for (hash, seq) in places {
                let _ = write!(text, ".{hash:x}-{seq:x}");
            }
        }
        text
    }

    /// Where deliveries of a channel go on.
    pub fn get(&self, channel: &str) -> Option<Position> {
        let (epoch, seq) = self.0.get(&channel_hash(channel))?;
        Some(Position {
            epoch: epoch.clone(),
            seq: *seq,
            time: None,
        })
    }

    /// A subscription stands after this sequence.
    pub fn set(&mut self, channel: &str, epoch: Epoch, seq: u64) {
        self.0.insert(channel_hash(channel), (epoch, seq));
    }

    /// A channel's deliveries have come to this sequence.
    pub fn reach(&mut self, channel: &str, seq: u64) {
        if let Some((_, at)) = self.0.get_mut(&channel_hash(channel)) {
            *at = seq.max(*at);
        }
    }

    /// Forgets channels that are not among these.
    pub fn keep(&mut self, channels: &[String]) {
        let wanted: Vec<u64> = channels.iter().map(|name| channel_hash(name)).collect();
        self.0.retain(|hash, _| wanted.contains(hash));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn epoch(bits: u64) -> Epoch {
        Epoch::from_random(bits)
    }

    proptest! {
        #[test]
        fn texts_round_trip(
            entries in proptest::collection::vec(("[a-z]{1,8}(\\.[a-z0-9]{1,9}){0,3}", 0_u64..3, any::<u64>()), 0..CHANNELS_MAX)
        ) {
            let mut places = Places::default();
            for (channel, bits, seq) in &entries {
                places.set(channel, epoch(*bits), *seq);
            }
            let text = places.text();
            prop_assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.~".contains(&b)));
            prop_assert_eq!(Places::parse(&text), Some(places));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[1~.a-f0-9-]{0,200}", bytes in ".{0,60}") {
            let _ = (Places::parse(&text), Places::parse(&bytes));
        }
    }

    #[test]
    fn places_never_go_back() {
        let mut places = Places::default();
        places.reach("chat.a", 5);
        assert_eq!(places.get("chat.a"), None, "it is not subscribed");
        places.set("chat.a", epoch(1), 7);
        places.reach("chat.a", 5);
        assert_eq!(places.get("chat.a").unwrap().seq, 7);
        places.reach("chat.a", 9);
        places.set("chat.b", epoch(1), 1);
        places.keep(&["chat.a".to_owned()]);
        assert_eq!(places.get("chat.a").unwrap().seq, 9);
        assert_eq!(places.get("chat.b"), None);
    }

    #[test]
    fn channels_within_and_beyond_their_limit() {
        let text = |count: usize| {
            let list: Vec<String> = (0..count).map(|n| format!(".{n:x}-1")).collect();
            format!("1~aa{}", list.concat())
        };
        assert!(Places::parse(&text(CHANNELS_MAX)).is_some());
        assert_eq!(Places::parse(&text(CHANNELS_MAX + 1)), None);
        for text in ["", "2~aa", "1~AA", "1~aa.5", "1~aa.g-1", &"1".repeat(3_000)] {
            assert_eq!(Places::parse(text), None, "{text}");
        }
    }
}
