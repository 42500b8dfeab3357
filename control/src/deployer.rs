//! Somebody who configures and deploys, and the buckets in which they do it.
//!
//! Owns the connection's clone and the deployer's name. It must not know what is allowed.

use std::path::PathBuf;

use bus::{Bus, BusError, Kv};
use bytes::Bytes;
use protocol::spec::Written;
use protocol::stream::Bucket;
use serde::Serialize;
use service::clock;

use crate::expected::Expected;
use crate::landscape::Landscape;

/// Versions of a function that are kept unless told otherwise, the deployed one included:
/// a few bad deployments in a row can be taken back.
pub const VERSIONS_KEPT: usize = 10;

/// Somebody who deploys.
#[derive(Debug, Clone)]
pub struct Deployer {
    pub(crate) bus: Bus,
    by: String,
    pub(crate) keep: usize,
    /// Where compiled code is kept from one check to the next, if it is.
    pub(crate) compiled: Option<PathBuf>,
    /// What its next change is made to.
    pub(crate) expected: Expected,
}

impl Deployer {
    /// A deployer with a name that is written beside what it changes.
    pub fn new(bus: &Bus, by: impl Into<String>) -> Self {
        Self {
            bus: bus.clone(),
            by: by.into(),
            keep: VERSIONS_KEPT,
            compiled: None,
            expected: Expected::Whatever,
        }
    }

    /// Changes and removes only what it expects to be there.
    #[must_use]
    pub fn expecting(self, expected: Expected) -> Self {
        Self { expected, ..self }
    }

    /// Keeps the compiled code of what it checks in a folder. Whoever can write there can
    /// run code in this process.
    #[must_use]
    pub fn compiled(self, folder: PathBuf) -> Self {
        Self {
            compiled: Some(folder),
            ..self
        }
    }

    /// Keeps so many versions of what it deploys, at least the deployed one.
    #[must_use]
    pub fn keep(self, versions: usize) -> Self {
        Self {
            keep: versions.max(1),
            ..self
        }
    }

    /// What there is.
    ///
    /// # Errors
    /// Those of the bus. Cancel safe.
    pub async fn landscape(&self) -> Result<Landscape, BusError> {
        Landscape::read(&self.bus).await
    }

    pub(crate) fn written(&self) -> Written {
        Written {
            by: self.by.clone(),
            at_us: clock::now_us(),
        }
    }

    pub(crate) async fn config(&self) -> Result<Kv, BusError> {
        self.bus.kv(Bucket::Config).await
    }

    pub(crate) async fn functions(&self) -> Result<Kv, BusError> {
        self.bus.kv(Bucket::Functions).await
    }
}

/// A spec as it is stored.
pub(crate) fn json<T: Serialize>(spec: &T) -> Bytes {
    let json = serde_json::to_vec(spec).expect("a spec has only names, texts and numbers");
    json.into()
}
