//! Creates the streams and buckets of a store, or checks that they are as configured.
//!
//! Owns no state; running it any number of times, also at once, is harmless. What
//! exists with other settings is never changed by a bootstrap: that is for a person to
//! decide, who is told every difference, and may ask for it by [`change`] and [`remove`].

mod change;
mod compare;
mod found;
mod settings;

use rand::Rng;
use serde_json::{Map, Value};

pub use self::change::{change, remove};
pub use self::compare::Difference;
use self::compare::{compare, remarks};
pub use self::found::{Found, find};
pub use self::settings::StoreSettings;
use crate::bus::Bus;
use crate::details::StreamDetails;
use crate::error::BusError;
use protocol::position::Epoch;
use protocol::spec::{StoreSpec, key};
use protocol::stream::Bucket;

/// How often the spec is read again when another bootstrap is writing it.
const SPEC_ATTEMPTS: u32 = 5;

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
    /// A store that holds events is not removed unless that is said; nothing was changed.
    #[error("{stream} holds events, which would be lost with it")]
    Holds {
        /// The stream.
        stream: String,
    },
    /// The spec in `CONFIG` cannot be read.
    #[error("the spec of the store in CONFIG cannot be read")]
    Spec(#[source] serde_json::Error),
    /// The bus failed; see whether it is temporary.
    #[error("bootstrap: {0}")]
    Bus(#[from] BusError),
}

impl Difference {
    /// Lanes are no stream's setting.
    fn of_lanes(store: &StoreSettings, found: u16) -> Self {
        Self {
            stream: Bucket::Config.as_str().into(),
            field: format!("{} lanes", key::store(&store.name)),
            configured: store.lanes.to_string(),
            found: found.to_string(),
        }
    }
}

fn list(differences: &[Difference]) -> String {
    differences
        .iter()
        .map(Difference::to_string)
        .collect::<Vec<_>>()
        .join("; ")
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
        for remark in remarks(&name, &config, &found.config) {
            tracing::warn!(
                stream = remark.stream,
                setting = remark.field,
                configured = remark.configured,
                found = remark.found,
                "a stream has another setting than a new one would: it is served all the same, and `nats stream edit` changes it"
            );
        }
    }
    if !differences.is_empty() {
        return Err(BootstrapError::Differs(differences));
    }
    let spec = find_or_create_spec(bus, store).await?;
    if spec.lanes != store.lanes {
        let difference = Difference::of_lanes(store, spec.lanes);
        return Err(BootstrapError::Differs(vec![difference]));
    }
    Ok(spec)
}

async fn find_or_create(
    bus: &Bus,
    name: &str,
    config: &Map<String, Value>,
) -> Result<StreamDetails, BusError> {
    match bus.describe(name).await {
        Err(BusError::NotFound) => {}
        found => return found,
    }
    /// The code of "stream name already in use": another bootstrap was faster, with
    /// other settings; the comparison says which.
    const EXISTS: u64 = 10_058;
    match bus.create_stream(name, config).await {
        Err(BusError::Api { code: EXISTS, .. }) => bus.describe(name).await,
        created => created,
    }
}

async fn find_or_create_spec(
    bus: &Bus,
    store: &StoreSettings,
) -> Result<StoreSpec, BootstrapError> {
    let kv = bus.kv(Bucket::Config).await?;
    let key = key::store(&store.name);
    for _ in 0..SPEC_ATTEMPTS {
        if let Some((value, _)) = kv.get(&key).await? {
            return serde_json::from_slice(&value).map_err(BootstrapError::Spec);
        }
        let epoch = Epoch::from_random(rand::rng().random());
        let spec = StoreSpec {
            name: store.name.clone(),
            lanes: store.lanes,
            epoch,
        };
        let value = serde_json::to_vec(&spec).map_err(BootstrapError::Spec)?;
        match kv.create(&key, value.into()).await {
            Ok(_) => return Ok(spec),
            Err(BusError::Exists) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(BusError::Conflict.into())
}
