//! How many bytes a tenant has stored: what one edge node says of those that came through
//! it, so that all nodes together know. Plain data.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::name::Tenant;
use crate::stream::StreamName;

/// Parts of a stream's retention in which bytes are counted: what was stored in one of them
/// is counted until all of it has gone.
pub const SLOTS: u64 = 32;

/// Bytes by when they were stored: the beginning of a part of the retention, microseconds
/// since 1970. One number for each part.
pub type Slots = BTreeMap<u64, u64>;

/// An entry of the bucket `USAGE`, of one node, stream and tenant. Only that node writes it,
/// and its numbers only grow.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Usage {
    /// Bytes by namespace.
    pub namespaces: BTreeMap<String, Slots>,
}

/// The key of an entry: `{stream}.{tenant}.{node}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UsageKey {
    /// The stream.
    pub stream: StreamName,
    /// Whose bytes.
    pub tenant: Tenant,
    /// The node: a name that no other process ever has.
    pub node: String,
}

impl std::fmt::Display for UsageKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.stream, self.tenant, self.node)
    }
}

impl UsageKey {
    /// Reads a key as it is written; `None` if it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '.');
        let (stream, tenant, node) = (parts.next()?, parts.next()?, parts.next()?);
        let known = StreamName::parse(stream).filter(StreamName::holds_events);
        Some(Self {
            stream: known?,
            tenant: Tenant::parse(tenant).ok()?,
            node: (!node.is_empty()).then(|| node.to_owned())?,
        })
    }
}

/// When the part of a retention began in which a moment lies, microseconds since 1970; 0 for
/// a stream that keeps everything.
pub fn slot_of(now_us: u64, max_age_us: u64) -> u64 {
    match max_age_us / SLOTS {
        0 => 0,
        length => now_us - now_us % length,
    }
}

/// Whether a part that began then may still be kept.
pub fn is_kept(slot: u64, now_us: u64, max_age_us: u64) -> bool {
    max_age_us == 0 || slot + max_age_us + max_age_us / SLOTS > now_us
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::StoreName;

    #[test]
    fn keys_are_read_as_they_are_written() {
        let store = StoreName::parse("eu-1").unwrap();
        for stream in [StreamName::ingress(&store), StreamName::events(&store)] {
            let key = UsageKey {
                stream,
                tenant: Tenant::parse("acme").unwrap(),
                node: "edge-0-77".into(),
            };
            assert_eq!(UsageKey::parse(&key.to_string()), Some(key));
        }
        for bad in [
            "",
            "EVENTS-main.acme",
            "STATE-main.acme.n",
            "EVENTS-main..n",
        ] {
            assert_eq!(UsageKey::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_part_is_counted_until_all_of_it_has_gone() {
        let (age, length) = (3_200, 100);
        let slot = slot_of(1_050, age);
        assert_eq!(slot, 1_000);
        let last = slot + length - 1;
        assert!(is_kept(slot, last + age, age) && !is_kept(slot, last + age + 1, age));
        assert_eq!(slot_of(77, 0), 0);
        assert!(is_kept(0, u64::MAX, 0));
    }
}
