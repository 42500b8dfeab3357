//! A store given other settings, or taken away: what a person asks for by name, and no
//! bootstrap does by itself.
//!
//! Owns no state. Either may be interrupted, and is gone on with by calling it again.

use serde_json::{Map, Value};

use super::compare::{Difference, compare};
use super::settings::StoreSettings;
use super::{BootstrapError, find_or_create, find_or_create_spec};
use crate::bus::Bus;
use crate::error::BusError;
use protocol::name::StoreName;
use protocol::spec::{StoreSpec, key};
use protocol::stream::{Bucket, StreamName};
use protocol::subject::{Kind, Subject};

/// Settings of a stream that may change while it is used. Nothing else may: subjects,
/// guards and what is repeated are what the stream's users rest on.
const CHANGEABLE: [&str; 4] = ["max_age", "max_bytes", "num_replicas", "duplicate_window"];

/// Gives a store other settings, and makes what it lacks. A shorter age or fewer bytes
/// take effect at once, on what is stored already.
///
/// # Errors
/// [`BootstrapError::Differs`] lists what cannot be changed, before anything is;
/// [`BootstrapError::Bus`]. Not cancel safe: cancelled, some of it may be done.
pub async fn change(bus: &Bus, store: &StoreSettings) -> Result<StoreSpec, BootstrapError> {
    store.check()?;
    let (mut fixed, mut changes) = (Vec::new(), Vec::new());
    for (name, config) in store.streams() {
        let found = find_or_create(bus, &name, &config).await?.config;
        let differences = compare(&name, &config, &found);
        let (free, others): (Vec<Difference>, Vec<_>) = differences
            .into_iter()
            .partition(|difference| CHANGEABLE.contains(&difference.field.as_str()));
        fixed.extend(others);
        if !free.is_empty() {
            changes.push((name, changed(found, &config, &free)));
        }
    }
    let spec = find_or_create_spec(bus, store).await?;
    if spec.lanes != store.lanes {
        fixed.push(Difference::of_lanes(store, spec.lanes));
    }
    if !fixed.is_empty() {
        return Err(BootstrapError::Differs(fixed));
    }
    for (name, config) in changes {
        bus.update_stream(&name, &config).await?;
    }
    Ok(spec)
}

/// What there is, with the settings that are wanted otherwise.
fn changed(
    mut found: Map<String, Value>,
    wanted: &Map<String, Value>,
    differences: &[Difference],
) -> Map<String, Value> {
    for Difference { field, .. } in differences {
        if let Some(value) = wanted.get(field) {
            found.insert(field.clone(), value.clone());
        }
    }
    found
}

/// Removes a store: its streams, then its spec, so that one that was interrupted is still
/// there to be removed. Buckets stay: they belong to all stores.
///
/// # Errors
/// [`BootstrapError::Holds`] unless `even_full`; [`BootstrapError::Bus`]. Not cancel safe.
pub async fn remove(bus: &Bus, name: &StoreName, even_full: bool) -> Result<(), BootstrapError> {
    let (ingress, events) = (StreamName::ingress(name), StreamName::events(name));
    if !even_full {
        for (stream, kind) in [(&ingress, Kind::In), (&events, Kind::Ev)] {
            let filter = Subject::store_filter(kind, name);
            match bus.first_on(stream, &filter).await {
                Ok(None) | Err(BusError::NotFound) => {}
                Ok(Some(_)) => {
                    let stream = stream.to_string();
                    return Err(BootstrapError::Holds { stream });
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
    // What copies from another goes before it.
    let others = [StreamName::rejected, StreamName::state, StreamName::logs];
    let others = others.map(|stream| stream(name));
    for stream in others.iter().chain([&ingress, &events]) {
        match bus.delete_stream(stream.as_str()).await {
            Ok(()) | Err(BusError::NotFound) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let (config, key) = (bus.kv(Bucket::Config).await?, key::store(name));
    match config.get(&key).await? {
        Some((_, revision)) => Ok(config.delete(&key, revision).await?),
        None => Ok(()),
    }
}
