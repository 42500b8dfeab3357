//! Wasm modules in the object store, under their sha-256 digest. Owns no state; does
//! not know what a module is.

use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::time::timeout;

use crate::bus::Bus;
use crate::error::BusError;
use protocol::checkpoint::Digest;
use protocol::stream::{MODULE_BYTES_MAX, MODULES};

/// How long putting or getting a module may take.
const MODULE_TIMEOUT: Duration = Duration::from_secs(60);

impl Bus {
    /// Stores a module and returns its digest; one that is there is left as it is.
    ///
    /// # Errors
    /// [`BusError::Limit`], [`BusError::NotFound`] if the bootstrap has not run,
    /// [`BusError::ObjectStore`], [`BusError::Timeout`]; calling it again is harmless.
    pub async fn put_module(&self, wasm: Bytes) -> Result<Digest, BusError> {
        if wasm.len() > MODULE_BYTES_MAX {
            return Err(BusError::Limit {
                field: "module bytes",
                value: wasm.len(),
                max: MODULE_BYTES_MAX,
            });
        }
        let digest = digest_of(&wasm);
        timeout(
            MODULE_TIMEOUT,
            self.put_object(MODULES, digest.as_str(), &wasm),
        )
        .await
        .map_err(|_| BusError::Timeout)??;
        Ok(digest)
    }

    /// Reads a module and checks it against its digest.
    ///
    /// # Errors
    /// [`BusError::NotFound`], [`BusError::Digest`], [`BusError::Limit`],
    /// [`BusError::ObjectStore`], [`BusError::Timeout`]. Cancel safe.
    pub async fn get_module(&self, digest: &Digest) -> Result<Bytes, BusError> {
        let get = self.get_object(MODULES, digest.as_str(), MODULE_BYTES_MAX);
        let wasm = timeout(MODULE_TIMEOUT, get)
            .await
            .map_err(|_| BusError::Timeout)??;
        if digest_of(&wasm) == *digest {
            Ok(wasm)
        } else {
            Err(BusError::Digest)
        }
    }
}

impl Bus {
    /// Removes a module; one that is not there is gone already. Whoever removes makes
    /// sure that no spec names it.
    ///
    /// # Errors
    /// [`BusError::ObjectStore`], [`BusError::Timeout`]; calling it again is harmless.
    pub async fn remove_module(&self, digest: &Digest) -> Result<(), BusError> {
        let remove = self.remove_object(MODULES, digest.as_str());
        timeout(MODULE_TIMEOUT, remove)
            .await
            .map_err(|_| BusError::Timeout)?
    }
}

fn digest_of(wasm: &[u8]) -> Digest {
    Digest::from_bytes(Sha256::digest(wasm).into())
}
