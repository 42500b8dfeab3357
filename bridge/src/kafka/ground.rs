//! The settings of topics that exactness rests on. All of them are set on the topics
//! that the mirror makes, whatever the brokers' defaults are, and compared while it
//! runs. Pure; knows nothing of clients.

use std::collections::BTreeMap;

use super::settings;
use crate::config::{KafkaConfig, RECORD_LIMIT};

/// Segment of the progress topic, in bytes: the least that Kafka takes, so that
/// compaction keeps it short.
const PROGRESS_SEGMENT_BYTES: &str = "1048576";
/// Part of the progress topic that may wait for compaction.
const PROGRESS_DIRTY_RATIO: &str = "0.1";
/// Kafka's word for a time without limit, in ms.
const EVER_MS: &str = "9223372036854775807";
/// Copies from which a write must reach two: with fewer, one broker that is away
/// would stop the mirror.
const REPLICATION_FOR_TWO: i32 = 3;

/// Settings by name.
pub(crate) type Settings = BTreeMap<String, String>;

/// A setting of a topic that is not what exactness rests on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("topic {topic} has {setting} = {found}, the mirror needs {wanted}")]
pub(crate) struct Difference {
    /// The topic.
    pub topic: String,
    /// Kafka's name of the setting.
    pub setting: String,
    /// What the mirror set, or would have set.
    pub wanted: String,
    /// What Kafka says.
    pub found: String,
}

/// What an event topic is made with.
pub(crate) fn events(kafka: &KafkaConfig) -> Settings {
    let mut wanted = shared(kafka);
    // CreateTime is the store's time: with a broker's own retention, a mirror that
    // starts late would lose what it writes at once.
    set(&mut wanted, "retention.ms", "-1");
    set(&mut wanted, "retention.bytes", "-1");
    wanted.extend(kafka.topic_settings.clone());
    // The key is the channel: compaction would leave one event of each.
    set(&mut wanted, "cleanup.policy", "delete");
    set(&mut wanted, "message.timestamp.type", "CreateTime");
    // A store's clock and its past are no reason to refuse an event.
    set(&mut wanted, "message.timestamp.before.max.ms", EVER_MS);
    set(&mut wanted, "message.timestamp.after.max.ms", EVER_MS);
    set(&mut wanted, "unclean.leader.election.enable", "false");
    wanted
}

/// What the progress topic is made with.
pub(crate) fn progress(kafka: &KafkaConfig) -> Settings {
    let mut wanted = shared(kafka);
    if let Some(copies) = kafka.topic_settings.get("min.insync.replicas") {
        set(&mut wanted, "min.insync.replicas", copies);
    }
    set(&mut wanted, "cleanup.policy", "compact");
    set(&mut wanted, "segment.bytes", PROGRESS_SEGMENT_BYTES);
    set(
        &mut wanted,
        "min.cleanable.dirty.ratio",
        PROGRESS_DIRTY_RATIO,
    );
    set(&mut wanted, "unclean.leader.election.enable", "false");
    set(&mut wanted, "message.timestamp.before.max.ms", EVER_MS);
    set(&mut wanted, "message.timestamp.after.max.ms", EVER_MS);
    wanted
}

fn shared(kafka: &KafkaConfig) -> Settings {
    let copies = if kafka.replication >= REPLICATION_FOR_TWO {
        "2"
    } else {
        "1"
    };
    let mut wanted = Settings::new();
    set(&mut wanted, "min.insync.replicas", copies);
    let bytes_max = settings::RECORD_BYTES_MAX.to_string();
    set(&mut wanted, RECORD_LIMIT, &bytes_max);
    wanted
}

fn set(settings: &mut Settings, name: &str, value: &str) {
    settings.insert(name.into(), value.into());
}

/// The first setting that is not as wanted; what Kafka does not tell is none.
pub(crate) fn compare(topic: &str, wanted: &Settings, found: &Settings) -> Option<Difference> {
    wanted.iter().find_map(|(name, value)| {
        let found = found.get(name).map_or("nothing", String::as_str);
        (found != value).then(|| Difference {
            topic: topic.into(),
            setting: name.clone(),
            wanted: value.clone(),
            found: found.into(),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::FIXED;

    #[test]
    fn what_exactness_rests_on_is_set_whatever_is_configured() {
        let mut kafka = KafkaConfig::default();
        let plain = events(&kafka);
        assert_eq!(plain["cleanup.policy"], "delete");
        assert_eq!(
            (&plain["retention.ms"][..], &plain["retention.bytes"][..]),
            ("-1", "-1")
        );
        assert_eq!(plain["min.insync.replicas"], "1");
        kafka.replication = 3;
        kafka.topic_settings = [("retention.ms", "5"), ("segment.ms", "7")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        let wanted = events(&kafka);
        assert_eq!(
            (&wanted["retention.ms"][..], &wanted["segment.ms"][..]),
            ("5", "7")
        );
        assert_eq!(wanted["min.insync.replicas"], "2");
        assert!(FIXED.iter().all(|name| wanted.contains_key(*name)));
        assert!(!progress(&kafka).contains_key("retention.ms"));
        assert_eq!(progress(&kafka)["cleanup.policy"], "compact");
    }

    #[test]
    fn a_difference_names_topic_setting_wanted_and_found() {
        let wanted = events(&KafkaConfig::default());
        let mut found = wanted.clone();
        set(&mut found, "segment.ms", "9");
        assert_eq!(compare("t", &wanted, &found), None);
        set(&mut found, "cleanup.policy", "compact");
        assert_eq!(
            compare("t", &wanted, &found).unwrap().to_string(),
            "topic t has cleanup.policy = compact, the mirror needs delete"
        );
        found.remove("cleanup.policy");
        assert_eq!(compare("t", &wanted, &found).unwrap().found, "nothing");
    }
}
