//! What a function lane commits in one atomic batch with its outputs.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::name::{Channel, Tenant};
use crate::position::Epoch;
use crate::stream::StreamName;
use crate::tick::Ticked;

/// Most channels of a lane that may be parked; past that the lane pauses.
pub const PARKED_MAX: usize = 1_000;

/// Most of them of one tenant: a quarter. Past that the lane goes on for the others and
/// the tenant's later inputs wait.
pub const PARKED_TENANT_MAX: usize = PARKED_MAX / 4;
/// Most tenants of a lane whose inputs wait as a whole; past that the lane pauses.
pub const HELD_MAX: usize = 16;

/// A function's progress on one lane. JSON, on `ck.{store}.{lane}.{function}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The stream that the inputs come from.
    pub stream: StreamName,
    /// The store's epoch when it was written.
    pub epoch: Epoch,
    /// Every input up to here is settled, but for those of parked channels: the last one,
    /// or a later message behind which the stream had none when the lane was quiet.
    pub seq: u64,
    /// That input's store time, microseconds since 1970; 0 before the first, and where it
    /// was gone when this was written. On resume it must be the stored event's, or the
    /// stream was rolled back.
    pub time: u64,
    /// Digest of the module that made the outputs.
    pub digest: Digest,
    /// Revision of the lease under which it was written.
    pub lease: u64,
    /// Which life of the function it belongs to, as its spec says.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub incarnation: u64,
    /// How often the function has changed what it remembers on the lane: what stands in
    /// STATE under a later number was never committed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub generation: u64,
    /// Sequence in EVENTS of the checkpoint whose parked channels the next two change;
    /// 0: they are all that wait. That one has no base itself.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub base: u64,
    /// Channels that wait for a retry: all, or those that do not wait as the base says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parked: Vec<Parked>,
    /// Channels of the base that wait no longer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unparked: Vec<Unparked>,
    /// Tenants whose inputs wait, on every channel.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<Held>,
    /// How far the function's schedule has come, on the lane of its ticks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticked: Option<Ticked>,
}

/// A tenant of which too many channels wait: none of its inputs from `seq` on is settled,
/// and its channels that wait do so for their inputs before that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The tenant.
    pub tenant: Tenant,
    /// The first input that is not settled, or where to look for it.
    pub seq: u64,
}

/// A channel that waits no longer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Unparked {
    /// The tenant.
    pub tenant: Tenant,
    /// The channel.
    pub channel: Channel,
}

impl Checkpoint {
    /// Every channel that waits; `base` are those of the checkpoint that this one
    /// changes.
    pub fn parked_over(&self, base: &[Parked]) -> Vec<Parked> {
        if self.base == 0 {
            return self.parked.clone();
        }
        let same = |one: &Parked, tenant: &Tenant, channel: &Channel| {
            one.tenant == *tenant && one.channel == *channel
        };
        let changed = |one: &&Parked| {
            let parked = self.parked.iter().map(|p| (&p.tenant, &p.channel));
            let gone = self.unparked.iter().map(|p| (&p.tenant, &p.channel));
            parked.chain(gone).any(|(t, c)| same(one, t, c))
        };
        let kept = base.iter().filter(|one| !changed(one)).cloned();
        kept.chain(self.parked.iter().cloned()).collect()
    }
}

/// For whoever reads checkpoints in the order in which they are stored: the last of each
/// lane that had no base, which is the base of those that have one.
#[derive(Debug, Default)]
pub struct Bases(HashMap<String, (u64, Vec<Parked>)>);

impl Bases {
    /// Every channel that waits, as the next checkpoint says that is stored on a subject,
    /// at a sequence; `None` if its base was not read.
    pub fn parked(
        &mut self,
        subject: &str,
        seq: u64,
        checkpoint: &Checkpoint,
    ) -> Option<Vec<Parked>> {
        if checkpoint.base == 0 {
            let whole = checkpoint.parked.clone();
            self.0.insert(subject.to_owned(), (seq, whole.clone()));
            return Some(whole);
        }
        let (_, base) = self
            .0
            .get(subject)
            .filter(|(at, _)| *at == checkpoint.base)?;
        Some(checkpoint.parked_over(base))
    }
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A channel that waits: its inputs from `seq` on are not settled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parked {
    /// The tenant.
    pub tenant: Tenant,
    /// The channel.
    pub channel: Channel,
    /// The first input that is not settled.
    pub seq: u64,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was first tried, microseconds since 1970.
    pub since: u64,
    /// When it is tried next, microseconds since 1970.
    pub due: u64,
}

/// The sha-256 digest of a Wasm module, 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Digest(Box<str>);

impl Digest {
    /// Reads a digest.
    pub fn parse(text: &str) -> Option<Self> {
        let valid = text.len() == 64
            && text
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        valid.then(|| Self(text.into()))
    }

    /// A digest from the hash's bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(
            bytes
                .iter()
                .map(|b| format!("{b:02x}"))
                .collect::<String>()
                .into(),
        )
    }

    /// The digest as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text)
            .ok_or_else(|| serde::de::Error::custom("a digest is 64 hexadecimal digits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parked(channel: &str, seq: u64) -> Parked {
        Parked {
            tenant: Tenant::parse("acme").unwrap(),
            channel: Channel::parse(channel).unwrap(),
            seq,
            attempts: 1,
            since: 1,
            due: 2,
        }
    }

    #[test]
    fn changes_over_a_base_are_what_waits() {
        let json = r#"{"stream":"INGRESS-main","epoch":"aa","seq":9,"time":1,"digest":"DIGEST","lease":3}"#;
        let json = json.replace("DIGEST", &"0".repeat(64));
        let mut checkpoint: Checkpoint = serde_json::from_str(&json).unwrap();
        assert_eq!(serde_json::to_string(&checkpoint).unwrap(), json);
        let base = [parked("doc.a", 1), parked("doc.b", 2), parked("doc.c", 3)];
        assert_eq!(checkpoint.parked_over(&base), [], "it has no base");
        checkpoint.base = 70;
        checkpoint.parked = vec![parked("doc.b", 5), parked("doc.d", 6)];
        let Parked {
            tenant, channel, ..
        } = parked("doc.c", 0);
        checkpoint.unparked = vec![Unparked { tenant, channel }];
        assert_eq!(
            checkpoint.parked_over(&base),
            [parked("doc.a", 1), parked("doc.b", 5), parked("doc.d", 6)]
        );
    }
}
