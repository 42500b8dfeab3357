//! Creates the streams and buckets of a store, or checks that they are as configured.
//!
//! The only place that knows the streams' settings. Owns no state; running it any
//! number of times, also at once, is harmless. What exists with other settings is
//! never changed: that is for a person to decide, who is told every difference.

use std::fmt;
use std::time::Duration;

use rand::Rng;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::bus::{Bucket, Bus, BusError, StreamDetails};
use crate::lane::{LANES_DEFAULT, LANES_MAX};
use crate::name::StoreName;
use crate::position::Epoch;
use crate::spec::{StoreSpec, key};
use crate::stream::{MODULES, StreamName};
use crate::subject::{Kind, Subject};

/// Revisions that `CONFIG` and `FUNCTIONS` keep of a key.
const BUCKET_HISTORY: u64 = 8;
/// How often the spec is read again when another bootstrap is writing it.
const SPEC_ATTEMPTS: u32 = 5;

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
    /// Most bytes of each stream; new events are refused beyond.
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
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// JetStream's shortest age, and our shortest duplicate window: tests use it.
const AGE_MIN: Duration = Duration::from_millis(100);

impl Default for StoreSettings {
    fn default() -> Self {
        Self {
            name: StoreName::parse("main").expect("a valid name"),
            lanes: LANES_DEFAULT,
            replicas: 1,
            ingress_max_age: 7 * DAY,
            events_max_age: 7 * DAY,
            rejected_max_age: 30 * DAY,
            max_bytes: 10 << 30,
            duplicate_window_ingress: Duration::from_secs(600),
            duplicate_window_events: Duration::from_secs(600),
            lease_ttl: Duration::from_secs(5),
        }
    }
}

/// One setting that is not as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The stream.
    pub stream: String,
    /// The setting.
    pub field: String,
    /// What is configured.
    pub configured: String,
    /// What was found.
    pub found: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: configured {}, found {}", self.stream, self.field, self.configured, self.found)
    }
}

/// Why a store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// A setting contradicts another, or is out of range.
    #[error("store settings: {field} {problem}")]
    Settings {
        /// The setting.
        field: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// What exists has other settings; nothing was changed.
    #[error("the store exists with other settings: {}", list(.0))]
    Differs(Vec<Difference>),
    /// The spec in `CONFIG` cannot be read.
    #[error("the spec of the store in CONFIG cannot be read")]
    Spec(#[source] serde_json::Error),
    /// The bus failed; see whether it is temporary.
    #[error("bootstrap: {0}")]
    Bus(#[from] BusError),
}

fn list(differences: &[Difference]) -> String {
    differences.iter().map(Difference::to_string).collect::<Vec<_>>().join("; ")
}

impl StoreSettings {
    fn check(&self) -> Result<(), BootstrapError> {
        let check = |holds: bool, field, problem| {
            if holds { Ok(()) } else { Err(BootstrapError::Settings { field, problem }) }
        };
        check((1..=LANES_MAX).contains(&self.lanes), "lanes", "is not within 1 to 1,024")?;
        check((1..=5).contains(&self.replicas), "replicas", "is not within 1 to 5")?;
        check(self.max_bytes >= 1 << 20, "max_bytes", "is under 1 MiB")?;
        let within = self.ingress_max_age <= self.events_max_age;
        check(within, "ingress_max_age", "is longer than events_max_age")?;
        check(self.ingress_max_age >= AGE_MIN, "ingress_max_age", "is under 100 ms")?;
        let fits = |window: Duration, age: Duration| (AGE_MIN..=age).contains(&window);
        let problem = "is not within 100 ms and the stream's age";
        check(fits(self.duplicate_window_ingress, self.ingress_max_age), "duplicate_window_ingress", problem)?;
        check(fits(self.duplicate_window_events, self.events_max_age), "duplicate_window_events", problem)?;
        check(self.rejected_max_age >= AGE_MIN, "rejected_max_age", "is under 100 ms")?;
        check(self.lease_ttl >= AGE_MIN, "lease_ttl", "is under 100 ms")
    }

    /// Everything that has to exist, in the order in which it is made.
    fn streams(&self) -> Vec<(String, Map<String, Value>)> {
        let name = &self.name;
        let (ingress, events) = (StreamName::ingress(name), StreamName::events(name));
        let own = |kind| Subject::store_filter(kind, name).to_string();
        let (checkpoints, letters) = (Subject::checkpoint_filter(name), Subject::dead_letter_filter(name));
        let mut ingress_config = self.log(self.ingress_max_age);
        ingress_config.extend(object(json!({
            "subjects": [own(Kind::In)],
            "duplicate_window": nanos(self.duplicate_window_ingress),
        })));
        let mut events_config = self.log(self.events_max_age);
        events_config.extend(object(json!({
            "subjects": [own(Kind::Ev), checkpoints.as_str(), letters.as_str()],
            "duplicate_window": nanos(self.duplicate_window_events),
            "republish": { "src": own(Kind::Ev), "dest": own(Kind::Fan) },
        })));
        let mut rejected_config = self.log(self.rejected_max_age);
        rejected_config.extend(object(json!({
            "sources": [{ "name": events.as_str(), "filter_subject": letters.as_str() }],
        })));
        let mut all = vec![
            (ingress.to_string(), ingress_config),
            (events.to_string(), events_config),
            (StreamName::rejected(name).to_string(), rejected_config),
        ];
        all.push(self.bucket(Bucket::Config, BUCKET_HISTORY, Duration::ZERO));
        all.push(self.bucket(Bucket::Functions, BUCKET_HISTORY, Duration::ZERO));
        all.push(self.bucket(Bucket::Leases, 1, self.lease_ttl));
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

    fn bucket(&self, bucket: Bucket, history: u64, max_age: Duration) -> (String, Map<String, Value>) {
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

    pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// Makes what a store needs, or checks that it is there as configured, and returns
/// its spec, with the epoch that the first bootstrap chose.
///
/// # Errors
/// [`BootstrapError::Differs`] lists every difference and changes nothing of what
/// differs; [`BootstrapError::Bus`] may be temporary. Cancel safe: the next run goes on.
pub async fn bootstrap(bus: &Bus, store: &StoreSettings) -> Result<StoreSpec, BootstrapError> {
    store.check()?;
    let mut differences = Vec::new();
    for (name, config) in store.streams() {
        let found = find_or_create(bus, &name, &config).await?;
        differences.extend(compare(&name, &config, &found.config));
    }
    if !differences.is_empty() {
        return Err(BootstrapError::Differs(differences));
    }
    let spec = find_or_create_spec(bus, store).await?;
    if spec.lanes != store.lanes {
        return Err(BootstrapError::Differs(vec![Difference {
            stream: Bucket::Config.as_str().into(),
            field: format!("{} lanes", key::store(&store.name)),
            configured: store.lanes.to_string(),
            found: spec.lanes.to_string(),
        }]));
    }
    Ok(spec)
}

async fn find_or_create(bus: &Bus, name: &str, config: &Map<String, Value>) -> Result<StreamDetails, BusError> {
    match bus.details(name).await {
        Err(BusError::NotFound) => {}
        found => return found,
    }
    let mut query = config.clone();
    query.insert("name".into(), name.into());
    /// The code of "stream name already in use": another bootstrap was faster, with
    /// other settings; the comparison says which.
    const EXISTS: u64 = 10_058;
    match bus.api::<_, StreamDetails>(&format!("STREAM.CREATE.{name}"), &query).await {
        Err(BusError::Api { code: EXISTS, .. }) => bus.details(name).await,
        created => created,
    }
}

async fn find_or_create_spec(bus: &Bus, store: &StoreSettings) -> Result<StoreSpec, BootstrapError> {
    let kv = bus.kv(Bucket::Config).await?;
    let key = key::store(&store.name);
    for _ in 0..SPEC_ATTEMPTS {
        if let Some((value, _)) = kv.get(&key).await? {
            return serde_json::from_slice(&value).map_err(BootstrapError::Spec);
        }
        let epoch = Epoch::from_random(rand::rng().random());
        let spec = StoreSpec { name: store.name.clone(), lanes: store.lanes, epoch };
        let value = serde_json::to_vec(&spec).map_err(BootstrapError::Spec)?;
        match kv.create(&key, value.into()).await {
            Ok(_) => return Ok(spec),
            Err(BusError::Exists) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(BusError::Conflict.into())
}

/// Every configured setting that is not as found. A missing one counts as its zero.
fn compare(stream: &str, configured: &Map<String, Value>, found: &Map<String, Value>) -> Vec<Difference> {
    let mut differences = Vec::new();
    for (field, wanted) in configured {
        let there = found.get(field).cloned().unwrap_or_else(|| zero_like(wanted));
        if !covers(&there, wanted) {
            differences.push(Difference {
                stream: stream.into(),
                field: field.clone(),
                configured: show(field, wanted),
                found: show(field, &there),
            });
        }
    }
    differences
}

/// Equality, but that the server may add fields to an object.
fn covers(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => {
            wanted.iter().all(|(field, value)| found.get(field).is_some_and(|there| covers(there, value)))
        }
        (Value::Array(found), Value::Array(wanted)) => {
            found.len() == wanted.len() && found.iter().zip(wanted).all(|(found, wanted)| covers(found, wanted))
        }
        (found, wanted) => found == wanted,
    }
}

fn zero_like(value: &Value) -> Value {
    match value {
        Value::Bool(_) => false.into(),
        Value::Number(_) => 0.into(),
        _ => Value::Null,
    }
}

/// Durations are nanoseconds on the wire, which nobody wants to read.
fn show(field: &str, value: &Value) -> String {
    match (field, value.as_u64()) {
        ("max_age" | "duplicate_window", Some(nanos)) => format!("{:?}", Duration::from_nanos(nanos)),
        _ => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_name_setting_and_both_values() {
        let configured = object(json!({ "max_age": 5_000_000_000u64, "deny_delete": true, "republish": { "src": "a" } }));
        let found = object(json!({ "max_age": 7_000_000_000u64, "republish": { "src": "a", "headers_only": false } }));
        let told: Vec<_> = compare("EVENTS-main", &configured, &found).iter().map(Difference::to_string).collect();
        assert_eq!(
            told,
            [
                "EVENTS-main deny_delete: configured true, found false",
                "EVENTS-main max_age: configured 5s, found 7s"
            ]
        );
    }

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
        assert_eq!(refused(|s| s.ingress_max_age = s.events_max_age + AGE_MIN), "ingress_max_age");
        assert_eq!(refused(|s| s.duplicate_window_events = Duration::from_millis(99)), "duplicate_window_events");
        assert_eq!(refused(|s| s.duplicate_window_ingress = s.ingress_max_age + AGE_MIN), "duplicate_window_ingress");
    }
}
