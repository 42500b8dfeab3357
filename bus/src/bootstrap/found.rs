//! A store as it is: its spec, and its settings read back from its streams.
//!
//! Owns no state. The counterpart of what the settings write.

use std::time::Duration;

use serde_json::{Map, Value};

use super::BootstrapError;
use super::settings::StoreSettings;
use crate::bus::Bus;
use crate::error::BusError;
use protocol::name::StoreName;
use protocol::spec::{StoreSpec, key};
use protocol::stream::{Bucket, StreamName};

/// A store that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its spec.
    pub spec: StoreSpec,
    /// Its settings; zero is what a stream would say that is not there.
    pub settings: StoreSettings,
}

/// Looks for a store; `None` if `CONFIG` names none.
///
/// # Errors
/// [`BootstrapError::Spec`], [`BootstrapError::Bus`]. Cancel safe.
pub async fn find(bus: &Bus, name: &StoreName) -> Result<Option<Found>, BootstrapError> {
    let config = match bus.kv(Bucket::Config).await {
        Ok(config) => config,
        Err(BusError::NotFound) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let Some((json, _)) = config.get(&key::store(name)).await? else {
        return Ok(None);
    };
    let spec: StoreSpec = serde_json::from_slice(&json).map_err(BootstrapError::Spec)?;
    let ingress = stream(bus, StreamName::ingress(name).as_str()).await?;
    let events = stream(bus, StreamName::events(name).as_str()).await?;
    let rejected = stream(bus, StreamName::rejected(name).as_str()).await?;
    let logs = stream(bus, StreamName::logs(name).as_str()).await?;
    let leases = stream(bus, &format!("KV_{}", Bucket::Leases.as_str())).await?;
    let replicas = number(&events, "num_replicas");
    let settings = StoreSettings {
        name: name.clone(),
        lanes: spec.lanes,
        replicas: u8::try_from(replicas).unwrap_or(u8::MAX),
        ingress_max_age: duration(&ingress, "max_age"),
        events_max_age: duration(&events, "max_age"),
        rejected_max_age: duration(&rejected, "max_age"),
        logs_max_age: duration(&logs, "max_age"),
        logs_max_bytes: number(&logs, "max_bytes"),
        max_bytes: number(&events, "max_bytes").min(number(&ingress, "max_bytes")),
        duplicate_window_ingress: duration(&ingress, "duplicate_window"),
        duplicate_window_events: duration(&events, "duplicate_window"),
        lease_ttl: duration(&leases, "max_age"),
        ..StoreSettings::default()
    };
    Ok(Some(Found { spec, settings }))
}

/// A stream's settings; none of one that is not there.
async fn stream(bus: &Bus, name: &str) -> Result<Map<String, Value>, BusError> {
    match bus.describe(name).await {
        Ok(found) => Ok(found.config),
        Err(BusError::NotFound) => Ok(Map::new()),
        Err(error) => Err(error),
    }
}

fn number(config: &Map<String, Value>, field: &str) -> u64 {
    config.get(field).and_then(Value::as_u64).unwrap_or(0)
}

fn duration(config: &Map<String, Value>, field: &str) -> Duration {
    Duration::from_nanos(number(config, field))
}
