//! Reading `CONFIG`: what a store is. Owns no state; every service reads it this way.

use protocol::name::StoreName;
use protocol::spec::{SpecError, StoreSpec, key};
use protocol::stream::Bucket;

use crate::bus::Bus;
use crate::error::BusError;

/// Why a store's spec cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Its bootstrap has not run; temporary.
    #[error("store {store} has no spec in CONFIG: run the bootstrap first")]
    Missing {
        /// The store.
        store: StoreName,
    },
    /// What `CONFIG` holds is not a spec.
    #[error("the spec of store {store} is not readable")]
    Unreadable {
        /// The store.
        store: StoreName,
        /// Why.
        source: serde_json::Error,
    },
    /// The spec contradicts itself.
    #[error("the spec of store {store} is not usable")]
    Unusable {
        /// The store.
        store: StoreName,
        /// Which field.
        source: SpecError,
    },
    /// The bus failed; see whether it is temporary.
    #[error("the spec of the store cannot be read")]
    Bus(#[from] BusError),
}

/// Reads and checks a store's spec.
///
/// # Errors
/// [`StoreError`]. Cancel safe.
pub async fn store(bus: &Bus, name: &StoreName) -> Result<StoreSpec, StoreError> {
    let entry = bus.kv(Bucket::Config).await?.get(&key::store(name)).await?;
    let store = || name.clone();
    let (json, _) = entry.ok_or_else(|| StoreError::Missing { store: store() })?;
    let spec: StoreSpec = serde_json::from_slice(&json).map_err(|source| {
        let store = store();
        StoreError::Unreadable { store, source }
    })?;
    spec.check().map_err(|source| {
        let store = store();
        StoreError::Unusable { store, source }
    })?;
    Ok(spec)
}
