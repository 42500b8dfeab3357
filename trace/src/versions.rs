//! The functions of a store, and the versions of them that are kept.
//!
//! Owns what was read of `FUNCTIONS`, for one answer.

use std::collections::BTreeMap;

use bus::{Bus, BusError};
use protocol::checkpoint::Digest;
use protocol::header::{self, Headers};
use protocol::name::{Channel, FunctionName, StoreName, Tenant};
use protocol::spec::{FunctionSpec, Trigger};
use protocol::stream::{Bucket, StreamName};

/// The functions of one store.
#[derive(Debug, Default)]
pub struct Versions {
    /// As they are deployed.
    now: BTreeMap<FunctionName, FunctionSpec>,
    /// Copies of them and of earlier ones, in any order.
    kept: Vec<FunctionSpec>,
}

/// Which version handled an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// Its number, if it is still kept.
    pub version: Option<u64>,
    /// Digest of its (first) module.
    pub digest: Digest,
}

impl Versions {
    /// Reads them. Cancel safe.
    ///
    /// # Errors
    /// Those of the bus.
    pub async fn read(bus: &Bus, store: &StoreName) -> Result<Self, BusError> {
        let entries = bus.kv(Bucket::Functions).await?.entries().await?;
        let mut versions = Self::default();
        for (key, json, _) in entries {
            // Judgements are none, and what is no spec is its workers' trouble.
            let Ok(spec) = serde_json::from_slice::<FunctionSpec>(&json) else {
                continue;
            };
            if spec.store == *store {
                versions.add(&key, spec);
            }
        }
        Ok(versions)
    }

    fn add(&mut self, key: &str, spec: FunctionSpec) {
        if key == spec.name.as_str() {
            self.now.insert(spec.name.clone(), spec.clone());
        }
        self.kept.push(spec);
    }

    /// The functions that handle what a stream holds at this sequence, but for whoever
    /// made it.
    pub fn of(
        &self,
        stream: &StreamName,
        seq: u64,
        channel: &Channel,
        headers: &Headers,
    ) -> Vec<FunctionName> {
        if stream.is_ingress() {
            // Whose an input is stands on it, whatever is deployed now.
            let gate = headers.get(header::GATE);
            let gate = gate.and_then(|gate| FunctionName::parse(gate).ok());
            return gate.into_iter().collect();
        }
        let maker = headers.get(header::FUNCTION);
        let handles = |spec: &&FunctionSpec| {
            !matches!(spec.trigger, Trigger::Gate)
                && maker != Some(spec.name.as_str())
                && spec.start_seq <= seq
                && spec.handles(channel, headers)
        };
        let all = self.now.values().filter(handles);
        all.map(|spec| spec.name.clone()).collect()
    }

    /// The version that a checkpoint's digest and time name, for a channel: of several with
    /// the same module the last that was deployed by then; during a trial, the one that
    /// has the channel.
    pub fn ran(
        &self,
        function: &FunctionName,
        digest: &Digest,
        time_us: u64,
        key: (&Tenant, &Channel),
    ) -> Ran {
        let deployed = |spec: &FunctionSpec| spec.deployed.as_ref().map_or(0, |it| it.at_us);
        let same = self.kept.iter().filter(|spec| {
            spec.name == *function && spec.digest == *digest && deployed(spec) <= time_us
        });
        let spec = same.max_by_key(|spec| spec.version);
        let spec = spec.map(|spec| match &spec.canary {
            Some(canary) if canary.since_us() <= time_us => spec.version_for(key.0, key.1),
            _ => spec,
        });
        Ran {
            version: spec.map(|spec| spec.version),
            digest: spec.map_or(digest, |spec| &spec.digest).clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use protocol::name::ChannelPattern;
    use protocol::spec::Written;

    use super::*;

    fn spec(version: u64, digest: u8, at_us: u64) -> FunctionSpec {
        let patterns = vec![ChannelPattern::parse("doc.>").unwrap()];
        FunctionSpec {
            version,
            start_seq: 5,
            deployed: Some(Written {
                by: "ann".into(),
                at_us,
            }),
            ..FunctionSpec::new(
                FunctionName::parse("stats").unwrap(),
                Digest::from_bytes([digest; 32]),
                StoreName::parse("main").unwrap(),
                Trigger::Reactive(patterns),
            )
        }
    }

    fn versions() -> Versions {
        let mut versions = Versions::default();
        versions.add("stats.1", spec(1, 1, 10));
        versions.add("stats.2", spec(2, 2, 20));
        versions.add("stats.3", spec(3, 1, 30));
        versions.add("stats", spec(3, 1, 30));
        versions
    }

    #[test]
    fn the_version_is_the_last_with_that_module_by_then() {
        let stats = FunctionName::parse("stats").unwrap();
        let (tenant, channel) = (
            Tenant::parse("acme").unwrap(),
            Channel::parse("doc.a").unwrap(),
        );
        let ran = |digest, time| {
            let digest = Digest::from_bytes([digest; 32]);
            versions().ran(&stats, &digest, time, (&tenant, &channel))
        };
        assert_eq!(ran(1, 15).version, Some(1));
        assert_eq!(ran(2, 25).version, Some(2));
        assert_eq!(ran(1, 35).version, Some(3), "the same module again");
        let gone = ran(7, 35);
        assert_eq!(
            (gone.version, gone.digest),
            (None, Digest::from_bytes([7; 32]))
        );
    }

    #[test]
    fn an_event_is_its_triggers_and_an_input_its_gates() {
        let (ingress, events) = (
            StreamName::parse("INGRESS-main").unwrap(),
            StreamName::parse("EVENTS-main").unwrap(),
        );
        let of = |stream, seq, channel: &str, headers: &[(&'static str, &str)]| {
            let mut all = Headers::new();
            for (name, value) in headers {
                all.push(name, *value);
            }
            let channel = Channel::parse(channel).unwrap();
            let of = versions().of(stream, seq, &channel, &all);
            of.iter().map(|name| name.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(of(&events, 5, "doc.a", &[]), ["stats"]);
        assert!(of(&events, 4, "doc.a", &[]).is_empty(), "before its start");
        assert!(of(&events, 5, "chat.a", &[]).is_empty());
        let own = [(header::FUNCTION, "stats")];
        assert!(of(&events, 5, "doc.a", &own).is_empty(), "its own output");
        let gate = [(header::GATE, "removed")];
        assert_eq!(of(&ingress, 1, "doc.a", &gate), ["removed"]);
        assert!(of(&ingress, 1, "doc.a", &[]).is_empty());
    }
}
