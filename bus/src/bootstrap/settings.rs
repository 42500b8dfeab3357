//! A store's settings, and the streams and buckets that follow from them.
//!
//! The only place that knows the streams' settings. Owns no state; does not know what
//! exists.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::BootstrapError;
use protocol::disconnect::DISCONNECT_KEPT;
use protocol::lane::{LANES_DEFAULT, LANES_MAX};
use protocol::name::StoreName;
use protocol::revocation::REVOCATION_MS_MAX;
use protocol::stream::{Bucket, MODULES, StreamName};
use protocol::subject::presence::PRESENCE_PREFIX;
use protocol::subject::{Kind, Subject};

/// Revisions that `CONFIG` and `FUNCTIONS` keep of a key.
const BUCKET_HISTORY: u64 = 8;

/// Versions that STATE keeps of what a function remembers of a channel: the last one
/// that is committed, and one that may not be yet.
const STATE_HISTORY: u64 = 2;

/// Most bytes of what is revoked: some hundred thousand entries, which every edge and
/// bridge holds in memory.
const REVOCATIONS_BYTES_MAX: u64 = 64 << 20;
/// Most bytes of whom backends disconnect, in the time for which an entry is kept: some
/// ten thousand, twenty a second.
const DISCONNECTS_BYTES_MAX: u64 = 4 << 20;

/// Most bytes of who is on which channel: some hundred thousand members. Servers set it
/// aside, several of them in memory; what finds no room is tried again.
const PRESENCE_BYTES_MAX: u64 = 64 << 20;

/// Consumers that INGRESS and EVENTS take. Every worker has one for each lane that it runs
/// functions on, edges and bridges have a few; NATS 2.15 gives a stream a thousand that
/// says nothing, which is less than the lanes that a store may have.
const CONSUMERS_MAX: u64 = 10 * LANES_MAX as u64;

/// Settings of a store's streams.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreSettings {
    /// The store's name.
    pub name: StoreName,
    /// Its lanes; fixed once it exists.
    pub lanes: u16,
    /// Copies of every stream and bucket, 1 to 5.
    pub replicas: u8,
    /// How long raw input is kept; at most as long as events. In settings: milliseconds.
    #[serde(rename = "ingress_max_age_ms", with = "millis")]
    pub ingress_max_age: Duration,
    /// How long events are kept. In settings: milliseconds.
    #[serde(rename = "events_max_age_ms", with = "millis")]
    pub events_max_age: Duration,
    /// How long dead letters are kept in REJECTED. In settings: milliseconds.
    #[serde(rename = "rejected_max_age_ms", with = "millis")]
    pub rejected_max_age: Duration,
    /// How long the logs of functions are kept. In settings: milliseconds.
    #[serde(rename = "logs_max_age_ms", with = "millis")]
    pub logs_max_age: Duration,
    /// Most bytes of the logs of functions; the oldest lines make room for new ones.
    pub logs_max_bytes: u64,
    /// Most bytes of each other stream; new events are refused beyond.
    pub max_bytes: u64,
    /// How long INGRESS remembers ids. In settings: milliseconds.
    #[serde(rename = "duplicate_window_ingress_ms", with = "millis")]
    pub duplicate_window_ingress: Duration,
    /// How long EVENTS remembers ids. In settings: milliseconds.
    #[serde(rename = "duplicate_window_events_ms", with = "millis")]
    pub duplicate_window_events: Duration,
    /// How long a lease lasts. In settings: milliseconds.
    #[serde(rename = "lease_ttl_ms", with = "millis")]
    pub lease_ttl: Duration,
    /// Lets the duplicate windows be shorter than three minutes. Only for
    /// tests: no settings file can say it.
    #[serde(skip)]
    pub short_windows: bool,
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// JetStream's shortest age.
const AGE_MIN: Duration = Duration::from_millis(100);
/// The shortest duplicate window. A publish may still arrive when its node has long been
/// cut off, and must find its id remembered: 15 s until the node finds its connection
/// dead, some 100 s for which its system goes on sending what the socket holds (RFC 1122,
/// 4.2.3.5), 5 s of a publish's own time limit; and half as much again.
const DUPLICATE_WINDOW_MIN: Duration = Duration::from_secs(180);
/// The least room for a stream, bytes: a message as large as NATS takes by default.
const BYTES_MIN: u64 = 1 << 20;

impl Default for StoreSettings {
    fn default() -> Self {
        Self {
            name: StoreName::parse("main").expect("a valid name"),
            lanes: LANES_DEFAULT,
            replicas: 1,
            ingress_max_age: 7 * DAY,
            events_max_age: 7 * DAY,
            rejected_max_age: 30 * DAY,
            // Over a weekend.
            logs_max_age: 3 * DAY,
            // Some hundred thousand lines.
            logs_max_bytes: 64 << 20,
            // The server sets this aside for each stream when it is made.
            max_bytes: 1 << 30,
            duplicate_window_ingress: Duration::from_secs(600),
            duplicate_window_events: Duration::from_secs(600),
            lease_ttl: Duration::from_secs(5),
            short_windows: false,
        }
    }
}
impl StoreSettings {
    /// Checks the settings against each other.
    ///
    /// # Errors
    /// [`BootstrapError::Settings`] names the setting.
    pub fn check(&self) -> Result<(), BootstrapError> {
        let check = |holds: bool, field, problem| {
            if holds {
                Ok(())
            } else {
                Err(BootstrapError::Settings { field, problem })
            }
        };
        check(
            (1..=LANES_MAX).contains(&self.lanes),
            "lanes",
            "is not within 1 to 1,024",
        )?;
        check(
            (1..=5).contains(&self.replicas),
            "replicas",
            "is not within 1 to 5",
        )?;
        check(self.max_bytes >= BYTES_MIN, "max_bytes", "is under 1 MiB")?;
        let room = self.logs_max_bytes >= BYTES_MIN;
        check(room, "logs_max_bytes", "is under 1 MiB")?;
        let age = self.logs_max_age >= AGE_MIN;
        check(age, "logs_max_age", "is under 100 ms")?;
        let within = self.ingress_max_age <= self.events_max_age;
        check(within, "ingress_max_age", "is longer than events_max_age")?;
        check(
            self.ingress_max_age >= AGE_MIN,
            "ingress_max_age",
            "is under 100 ms",
        )?;
        let least = match self.short_windows {
            true => AGE_MIN,
            false => DUPLICATE_WINDOW_MIN,
        };
        let fits = |window: Duration, age: Duration| (least..=age).contains(&window);
        let problem = "is not within 3 minutes and the stream's age";
        check(
            fits(self.duplicate_window_ingress, self.ingress_max_age),
            "duplicate_window_ingress",
            problem,
        )?;
        check(
            fits(self.duplicate_window_events, self.events_max_age),
            "duplicate_window_events",
            problem,
        )?;
        check(
            self.rejected_max_age >= AGE_MIN,
            "rejected_max_age",
            "is under 100 ms",
        )?;
        check(self.lease_ttl >= AGE_MIN, "lease_ttl", "is under 100 ms")
    }

    /// Everything that has to exist, in the order in which it is made.
    pub(super) fn streams(&self) -> Vec<(String, Map<String, Value>)> {
        let name = &self.name;
        let (ingress, events) = (StreamName::ingress(name), StreamName::events(name));
        let own = |kind| Subject::store_filter(kind, name).to_string();
        let (checkpoints, letters) = (
            Subject::checkpoint_filter(name),
            Subject::dead_letter_filter(name),
        );
        let mut ingress_config = self.log(self.ingress_max_age);
        ingress_config.extend(object(json!({
            "subjects": [own(Kind::In)],
            "max_consumers": CONSUMERS_MAX,
            "duplicate_window": nanos(self.duplicate_window_ingress),
        })));
        let mut events_config = self.log(self.events_max_age);
        events_config.extend(object(json!({
            "subjects": [own(Kind::Ev), checkpoints.as_str(), letters.as_str()],
            "max_consumers": CONSUMERS_MAX,
            "duplicate_window": nanos(self.duplicate_window_events),
            "republish": { "src": own(Kind::Ev), "dest": own(Kind::Fan) },
        })));
        let mut rejected_config = self.log(self.rejected_max_age);
        rejected_config.extend(object(json!({
            "sources": [{ "name": events.as_str(), "filter_subject": letters.as_str() }],
        })));
        let mut state_config = self.log(Duration::ZERO);
        state_config.extend(object(json!({
            "subjects": [Subject::state_filter(name).as_str(), Subject::fence_filter(name).as_str()],
            "max_msgs_per_subject": STATE_HISTORY,
        })));
        let mut logs_config = self.log(self.logs_max_age);
        logs_config.extend(object(json!({
            "subjects": [Subject::log_filter(name).as_str()],
            // Lines are no events: the newest are worth more than the oldest.
            "discard": "old",
            "max_bytes": self.logs_max_bytes,
        })));
        let mut all = vec![
            (ingress.to_string(), ingress_config),
            (events.to_string(), events_config),
            (StreamName::rejected(name).to_string(), rejected_config),
            (StreamName::state(name).to_string(), state_config),
            (StreamName::logs(name).to_string(), logs_config),
        ];
        all.push(self.bucket(Bucket::Config, BUCKET_HISTORY, Duration::ZERO));
        all.push(self.bucket(Bucket::Functions, BUCKET_HISTORY, Duration::ZERO));
        all.push(self.bucket(Bucket::Leases, 1, self.lease_ttl));
        // A worker that has not reported for as long as a lease lasts counts as dead.
        all.push(self.bucket(Bucket::Workers, 1, self.lease_ttl));
        all.push(self.bucket(Bucket::Lanes, 1, Duration::ZERO));
        all.push(self.revocations());
        all.push(self.bucket(Bucket::Usage, 1, Duration::ZERO));
        all.push(self.presence());
        all.push(self.disconnects());
        all.push(self.modules());
        all
    }

    /// A stream in which every hole is a loss: nothing is deleted or rolled up.
    fn log(&self, max_age: Duration) -> Map<String, Value> {
        object(json!({
            "retention": "limits",
            "discard": "new",
            "storage": "file",
            "max_bytes": self.max_bytes,
            "max_age": nanos(max_age),
            "num_replicas": self.replicas,
            "allow_direct": true,
            "allow_atomic": true,
            "deny_delete": true,
            "deny_purge": true,
        }))
    }

    fn bucket(
        &self,
        bucket: Bucket,
        history: u64,
        max_age: Duration,
    ) -> (String, Map<String, Value>) {
        let name = bucket.as_str();
        let config = object(json!({
            "subjects": [format!("$KV.{name}.>")],
            "retention": "limits",
            "discard": "new",
            "storage": "file",
            "max_msgs_per_subject": history,
            "max_age": nanos(max_age),
            "num_replicas": self.replicas,
            "allow_rollup_hdrs": true,
            "allow_direct": true,
            "deny_delete": true,
        }));
        (format!("KV_{name}"), config)
    }

    /// Entries end with the longest-lived token that may be revoked; one that finds no
    /// room is refused, and told so to whoever revokes.
    fn revocations(&self) -> (String, Map<String, Value>) {
        let age = Duration::from_millis(REVOCATION_MS_MAX);
        let (name, mut config) = self.bucket(Bucket::Revocations, 1, age);
        config.extend(object(json!({ "max_bytes": REVOCATIONS_BYTES_MAX })));
        (name, config)
    }

    /// Who is where is true for a moment, and every node writes it anew when it is lost: so
    /// nothing of it waits for a disk. One server keeps it in a file all the same, since a
    /// stream in memory would be gone after a restart, and nobody but a bootstrap makes
    /// one; several servers do not take that, and remember a stream in memory. What is
    /// stored is repeated with its revision, so that nobody hears what was refused.
    fn presence(&self) -> (String, Map<String, Value>) {
        let bucket = Bucket::Presence.as_str();
        let (name, mut config) = self.bucket(Bucket::Presence, 1, Duration::ZERO);
        config.extend(object(json!({
            "max_bytes": PRESENCE_BYTES_MAX,
            // Deletions are forgotten: keys name nodes, of which there is no end.
            "allow_msg_ttl": true,
            "republish": {
                "src": format!("$KV.{bucket}.>"),
                "dest": format!("{PRESENCE_PREFIX}>"),
            },
        })));
        config.extend(object(match self.replicas {
            1 => json!({ "persist_mode": "async" }),
            _ => json!({ "storage": "memory" }),
        }));
        (name, config)
    }

    /// Entries are for those who are connected now, and soon of no use.
    fn disconnects(&self) -> (String, Map<String, Value>) {
        let (name, mut config) = self.bucket(Bucket::Disconnects, 1, DISCONNECT_KEPT);
        config.extend(object(json!({ "max_bytes": DISCONNECTS_BYTES_MAX })));
        (name, config)
    }

    fn modules(&self) -> (String, Map<String, Value>) {
        let config = object(json!({
            "subjects": [format!("$O.{MODULES}.C.>"), format!("$O.{MODULES}.M.>")],
            "retention": "limits",
            "discard": "new",
            "storage": "file",
            "num_replicas": self.replicas,
            "allow_rollup_hdrs": true,
            "allow_direct": true,
        }));
        (format!("OBJ_{MODULES}"), config)
    }
}

/// A duration as JetStream takes it.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// A duration as settings write it: whole milliseconds.
mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        duration: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}

/// The map of a JSON object that was written in place.
pub(super) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_within_and_beyond_each_limit() {
        let fine = StoreSettings::default();
        assert!(fine.check().is_ok());
        let refused = |change: fn(&mut StoreSettings)| {
            let mut settings = StoreSettings::default();
            change(&mut settings);
            match settings.check() {
                Err(BootstrapError::Settings { field, .. }) => field,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(refused(|s| s.lanes = 0), "lanes");
        assert_eq!(refused(|s| s.replicas = 6), "replicas");
        assert_eq!(refused(|s| s.max_bytes = BYTES_MIN - 1), "max_bytes");
        assert_eq!(
            refused(|s| s.logs_max_bytes = BYTES_MIN - 1),
            "logs_max_bytes"
        );
        assert_eq!(
            refused(|s| s.logs_max_age = Duration::from_millis(99)),
            "logs_max_age"
        );
        assert_eq!(
            refused(|s| s.ingress_max_age = s.events_max_age + AGE_MIN),
            "ingress_max_age"
        );
        assert_eq!(
            refused(|s| {
                s.short_windows = true;
                s.duplicate_window_events = Duration::from_millis(99);
            }),
            "duplicate_window_events"
        );
        assert_eq!(
            refused(|s| s.duplicate_window_events = DUPLICATE_WINDOW_MIN - AGE_MIN),
            "duplicate_window_events"
        );
        let least = StoreSettings {
            duplicate_window_events: DUPLICATE_WINDOW_MIN,
            duplicate_window_ingress: DUPLICATE_WINDOW_MIN,
            max_bytes: BYTES_MIN,
            logs_max_bytes: BYTES_MIN,
            logs_max_age: AGE_MIN,
            ..StoreSettings::default()
        };
        assert!(least.check().is_ok());
        let told = serde_json::from_str::<StoreSettings>(r#"{"short_windows":true}"#);
        assert!(told.is_err(), "only code can say it");
        assert_eq!(
            refused(|s| s.duplicate_window_ingress = s.ingress_max_age + AGE_MIN),
            "duplicate_window_ingress"
        );
    }
}
