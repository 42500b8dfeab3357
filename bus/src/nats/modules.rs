//! Wasm modules in the object store, under their sha-256 digest. Owns no state; does
//! not know what a module is.

use async_nats::jetstream::object_store::{GetErrorKind, InfoErrorKind, ObjectStore};
use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

use super::connection::Bus;
use crate::error::BusError;
use protocol::checkpoint::Digest;
use protocol::stream::{MODULE_BYTES_MAX, MODULES};

/// How long putting or getting a module may take.
const MODULE_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(60);

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
        let put = async {
            let store = self.module_store().await?;
            match store.info(digest.as_str()).await {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == InfoErrorKind::NotFound => {}
                Err(error) => return Err(BusError::ObjectStore(error.into())),
            }
            let mut bytes = &wasm[..];
            let stored = store.put(digest.as_str(), &mut bytes).await;
            stored
                .map(|_| ())
                .map_err(|error| BusError::ObjectStore(error.into()))
        };
        timeout(MODULE_TIMEOUT, put)
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
        let get = async {
            let store = self.module_store().await?;
            let object = store
                .get(digest.as_str())
                .await
                .map_err(|error| match error.kind() {
                    GetErrorKind::NotFound => BusError::NotFound,
                    _ => BusError::ObjectStore(error.into()),
                })?;
            let size = object.info().size;
            if size > MODULE_BYTES_MAX {
                return Err(BusError::Limit {
                    field: "module bytes",
                    value: size,
                    max: MODULE_BYTES_MAX,
                });
            }
            let mut wasm = Vec::with_capacity(size);
            let mut object = object.take(MODULE_BYTES_MAX as u64);
            object
                .read_to_end(&mut wasm)
                .await
                .map_err(|error| BusError::ObjectStore(error.into()))?;
            Ok(Bytes::from(wasm))
        };
        let wasm = timeout(MODULE_TIMEOUT, get)
            .await
            .map_err(|_| BusError::Timeout)??;
        if digest_of(&wasm) == *digest {
            Ok(wasm)
        } else {
            Err(BusError::Digest)
        }
    }

    async fn module_store(&self) -> Result<ObjectStore, BusError> {
        self.details(&format!("OBJ_{MODULES}")).await?;
        self.inner
            .context
            .get_object_store(MODULES)
            .await
            .map_err(|error| BusError::ObjectStore(error.into()))
    }
}

fn digest_of(wasm: &[u8]) -> Digest {
    Digest::from_bytes(Sha256::digest(wasm).into())
}
