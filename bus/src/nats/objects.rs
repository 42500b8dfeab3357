//! The object store over NATS. Owns no state; does not know what an object is.

use async_nats::jetstream::object_store::{
    DeleteErrorKind, GetErrorKind, InfoErrorKind, ObjectStore,
};
use bytes::Bytes;
use tokio::io::AsyncReadExt;

use super::connection::Bus;
use crate::error::BusError;

impl Bus {
    /// Stores an object; one that is there under this name is left as it is.
    pub(crate) async fn put_object(
        &self,
        store: &str,
        name: &str,
        bytes: &Bytes,
    ) -> Result<(), BusError> {
        let store = self.object_store(store).await?;
        match store.info(name).await {
            // What was removed leaves its name behind.
            Ok(info) if info.deleted => {}
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == InfoErrorKind::NotFound => {}
            Err(error) => return Err(BusError::ObjectStore(error.into())),
        }
        let mut bytes = &bytes[..];
        let stored = store.put(name, &mut bytes).await;
        stored
            .map(|_| ())
            .map_err(|error| BusError::ObjectStore(error.into()))
    }

    /// Removes an object, if it is there.
    pub(crate) async fn remove_object(&self, store: &str, name: &str) -> Result<(), BusError> {
        let store = self.object_store(store).await?;
        match store.delete(name).await {
            Err(error) if error.kind() != DeleteErrorKind::NotFound => {
                Err(BusError::ObjectStore(error.into()))
            }
            _ => Ok(()),
        }
    }

    /// Reads an object of at most `max` bytes.
    pub(crate) async fn get_object(
        &self,
        store: &str,
        name: &str,
        max: usize,
    ) -> Result<Bytes, BusError> {
        let store = self.object_store(store).await?;
        let object = store.get(name).await.map_err(|error| match error.kind() {
            GetErrorKind::NotFound => BusError::NotFound,
            _ => BusError::ObjectStore(error.into()),
        })?;
        let size = object.info().size;
        if size > max {
            return Err(BusError::Limit {
                field: "object bytes",
                value: size,
                max,
            });
        }
        let mut bytes = Vec::with_capacity(size);
        object
            .take(max as u64)
            .read_to_end(&mut bytes)
            .await
            .map_err(|error| BusError::ObjectStore(error.into()))?;
        Ok(Bytes::from(bytes))
    }

    async fn object_store(&self, name: &str) -> Result<ObjectStore, BusError> {
        self.details(&format!("OBJ_{name}")).await?;
        self.inner
            .context
            .get_object_store(name)
            .await
            .map_err(|error| BusError::ObjectStore(error.into()))
    }
}
