//! What the bridge is told: defaults, checks, and the one place that reads them.
//!
//! Owns no state. Defaults are constants with unit and reason.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use auth::AuthSettings;
use door::certificate::TlsSettings;
use protocol::name::StoreName;
use protocol::record::TOPIC_PREFIX_DEFAULT;
use protocol::secret::Secret;
use serde::{Deserialize, Serialize};
use service::listener::ADDR_DEFAULT;
use service::settings;
use service::settings::{NatsSettings, SettingsError};

/// Where gRPC listens unless settings say otherwise.
const GRPC_PORT_DEFAULT: u16 = 7610;
/// Partitions of a topic that the mirror creates: enough for six consumers, few
/// enough that the marker each transaction writes in each of them costs little.
const PARTITIONS_DEFAULT: i32 = 6;
/// Most partitions: each costs a marker in each transaction.
const PARTITIONS_MAX: i32 = 1_000;
/// Copies of each topic. One fits a single broker; three fit production.
const REPLICATION_DEFAULT: i32 = 1;
/// How long a transaction gathers events while the mirror keeps up, in ms. Below
/// it, librdkafka's 20 ms wait between transactions eats what is gained.
const COMMIT_MS_DEFAULT: u64 = 100;
const COMMIT_MS_MIN: u64 = 10;
/// Past it, readers of the mirror wait noticeably.
pub(crate) const COMMIT_MS_MAX: u64 = 250;
/// Longest deployment name or topic prefix, in bytes: a topic's name has 249 at
/// most, two names of 64 tokens, doubled by escaping where they hold `_`, excluded.
const NAME_BYTES_MAX: usize = 64;

/// Settings of topics that nobody may choose otherwise, because exactness rests on
/// them.
pub(crate) const FIXED: [&str; 5] = [
    "cleanup.policy",
    "message.timestamp.type",
    "message.timestamp.before.max.ms",
    "message.timestamp.after.max.ms",
    "unclean.leader.election.enable",
];
/// Kafka's name of a topic's limit of its batches.
pub(crate) const RECORD_LIMIT: &str = "max.message.bytes";
/// Smallest such limit, in bytes: below it, even small batches of small events would
/// be refused.
const RECORD_BYTES_MIN: u32 = 16 * 1024;

/// The bridge's settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BridgeConfig {
    /// How to reach NATS.
    pub nats: NatsSettings,
    /// How to reach Kafka, and what its topics are like.
    pub kafka: KafkaConfig,
    /// The store whose streams are mirrored. It must be bootstrapped already.
    pub store: StoreName,
    /// Name of the deployment: part of the transactional ids, which two deployments
    /// on one Kafka must not share.
    pub deployment: String,
    /// Where gRPC listens.
    pub grpc: SocketAddr,
    /// TLS on it; off unless its files are named. They are read again when they change.
    pub tls: TlsSettings,
    /// Where the process shows health and metrics; port 0 takes a free one and logs it.
    pub health: SocketAddr,
    /// The secret that HS256 tokens are signed with, at least 32 bytes. Empty: only the
    /// keys in `auth` count.
    pub token_secret: Secret,
    /// How tokens are checked, and further keys.
    pub auth: AuthSettings,
    /// How long a transaction gathers events, in ms: 10 to 250.
    pub commit_ms: u64,
    /// What the mirror does when events are missing in a stream.
    pub on_gap: OnGap,
    /// What the mirror does when a topic is not as it made it.
    pub on_broken_topic: OnBrokenTopic,
    /// Test-only switches; a release build refuses any.
    pub faults: String,
}

/// What the mirror does when events are missing in a stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnGap {
    /// Records the gap in the mirror, counts it, and goes on.
    #[default]
    Continue,
    /// Stops that shard until somebody has looked.
    Stop,
}

/// What the mirror does when a topic is gone, was made anew, or has other partitions or
/// settings than the mirror made it with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnBrokenTopic {
    /// Passes over its events, records and counts what it misses, and goes on with the
    /// others. Once it is as it was, it is written again.
    #[default]
    Skip,
    /// Stops the shard until somebody has looked.
    Stop,
    /// As `skip`; but a topic that is gone or was made anew is taken as it is found
    /// when the mirror starts, and what it has lost is recorded as a gap.
    Adopt,
}

/// How to reach Kafka, and what the topics are like that the mirror creates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KafkaConfig {
    /// Brokers to start from, `host:port` separated by commas.
    pub bootstrap: String,
    /// Any further setting of librdkafka, for every client.
    pub settings: BTreeMap<String, String>,
    /// Any further setting of the topics that the mirror creates, but for those that
    /// exactness rests on. Without one for it, records are kept for ever.
    pub topic_settings: BTreeMap<String, String>,
    /// First part of every topic's name.
    pub topic_prefix: String,
    /// Partitions of a new topic.
    pub partitions: i32,
    /// Copies of a new topic.
    pub replication: i32,
}

impl Default for BridgeConfig {
    fn default() -> Self {
        Self {
            nats: NatsSettings::default(),
            kafka: KafkaConfig::default(),
            store: StoreName::parse("main").expect("the default store's name is valid"),
            deployment: "dev".into(),
            grpc: SocketAddr::from((Ipv4Addr::LOCALHOST, GRPC_PORT_DEFAULT)),
            tls: TlsSettings::default(),
            health: ADDR_DEFAULT,
            token_secret: Secret::default(),
            auth: AuthSettings::default(),
            commit_ms: COMMIT_MS_DEFAULT,
            on_gap: OnGap::default(),
            on_broken_topic: OnBrokenTopic::default(),
            faults: String::new(),
        }
    }
}

impl Default for KafkaConfig {
    fn default() -> Self {
        Self {
            bootstrap: "127.0.0.1:9092".into(),
            settings: BTreeMap::new(),
            topic_settings: BTreeMap::new(),
            topic_prefix: TOPIC_PREFIX_DEFAULT.into(),
            partitions: PARTITIONS_DEFAULT,
            replication: REPLICATION_DEFAULT,
        }
    }
}

/// A setting that is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct ConfigError {
    /// Which one.
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: String,
}

impl BridgeConfig {
    /// Reads defaults, a JSON file and the environment.
    ///
    /// # Errors
    /// [`SettingsError`] names the file or the key.
    pub fn load(file: Option<&Path>) -> Result<Self, SettingsError> {
        settings::load(file)
    }

    /// Checks what the types do not say.
    ///
    /// # Errors
    /// [`ConfigError`] names the first setting that is not accepted.
    pub fn check(&self) -> Result<(), ConfigError> {
        let commit = COMMIT_MS_MIN..=COMMIT_MS_MAX;
        require(commit.contains(&self.commit_ms), "commit_ms", || {
            format!(
                "{} is not within {COMMIT_MS_MIN} to {COMMIT_MS_MAX}",
                self.commit_ms
            )
        })?;
        let partitions = self.kafka.partitions;
        require(
            (1..=PARTITIONS_MAX).contains(&partitions),
            "kafka.partitions",
            || format!("{partitions} is not within 1 to {PARTITIONS_MAX}"),
        )?;
        require(self.kafka.replication >= 1, "kafka.replication", || {
            "must be at least 1".into()
        })?;
        require(!self.kafka.bootstrap.is_empty(), "kafka.bootstrap", || {
            "names no broker".into()
        })?;
        let fixed = |name: &&str| self.kafka.topic_settings.contains_key(*name);
        let chosen = FIXED.iter().find(|name| fixed(name));
        require(chosen.is_none(), "kafka.topic_settings", || {
            format!("{} is the mirror's to set", chosen.unwrap_or(&""))
        })?;
        let limit = self.kafka.topic_settings.get(RECORD_LIMIT);
        let fits = |text: &String| text.parse().is_ok_and(|n: u32| n >= RECORD_BYTES_MIN);
        require(limit.is_none_or(fits), "kafka.topic_settings", || {
            format!("{RECORD_LIMIT} must be a number of at least {RECORD_BYTES_MIN}")
        })?;
        check_name("deployment", &self.deployment)?;
        check_name("kafka.topic_prefix", &self.kafka.topic_prefix)
    }

    /// How long a transaction gathers events while the mirror keeps up.
    pub(crate) fn commit_interval(&self) -> Duration {
        Duration::from_millis(self.commit_ms)
    }

    /// The id that fences the writers of one stream.
    pub(crate) fn transactional_id(&self, stream: &protocol::stream::StreamName) -> String {
        format!("eddyline.{}.{stream}", self.deployment)
    }
}

fn require(
    holds: bool,
    field: &'static str,
    problem: impl FnOnce() -> String,
) -> Result<(), ConfigError> {
    if holds {
        Ok(())
    } else {
        Err(ConfigError {
            field,
            problem: problem(),
        })
    }
}

/// Letters, digits and `-`: `.` separates the parts of a topic's name, and Kafka
/// takes `_` for the same as `.` in metrics.
fn check_name(field: &'static str, text: &str) -> Result<(), ConfigError> {
    let fits = (1..=NAME_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    require(fits, field, || {
        format!("must be 1 to {NAME_BYTES_MAX} letters, digits and '-'")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: impl FnOnce(&mut BridgeConfig)) -> Option<&'static str> {
        let mut config = BridgeConfig::default();
        change(&mut config);
        config.check().err().map(|error| error.field)
    }

    #[test]
    fn settings_within_and_beyond_each_limit() {
        assert_eq!(check(|_| {}), None);
        assert_eq!(check(|c| c.commit_ms = 250), None);
        assert_eq!(check(|c| c.commit_ms = 251), Some("commit_ms"));
        assert_eq!(check(|c| c.kafka.partitions = 1), None);
        assert_eq!(check(|c| c.kafka.partitions = 0), Some("kafka.partitions"));
        let set = |c: &mut BridgeConfig, name: &str| {
            c.kafka.topic_settings.insert(name.into(), "1".into());
        };
        assert_eq!(check(|c| set(c, "retention.ms")), None);
        assert_eq!(
            check(|c| set(c, "cleanup.policy")),
            Some("kafka.topic_settings")
        );
        assert_eq!(check(|c| c.deployment = "a".repeat(64)), None);
        assert_eq!(check(|c| c.deployment = "a".repeat(65)), Some("deployment"));
        assert_eq!(
            check(|c| c.kafka.topic_prefix = "a.b".into()),
            Some("kafka.topic_prefix")
        );
    }

    #[test]
    fn settings_survive_serde() {
        let text = serde_json::to_string(&BridgeConfig::default()).unwrap();
        assert_eq!(
            serde_json::from_str::<BridgeConfig>(&text).unwrap(),
            BridgeConfig::default()
        );
        assert!(serde_json::from_str::<BridgeConfig>(r#"{"comit_ms":1}"#).is_err());
    }
}
