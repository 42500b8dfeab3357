//! Stores: made, changed, removed.
//!
//! Owns nothing. How a store is made of streams is the bus's to know.

use bus::bootstrap::{self, Found, StoreSettings};
use protocol::name::StoreName;
use protocol::spec::StoreSpec;

use crate::deployer::Deployer;
use crate::error::ControlError;
use crate::rules;

impl Deployer {
    /// A store as it is.
    ///
    /// # Errors
    /// [`ControlError::Store`]. Cancel safe.
    pub async fn store(&self, name: &StoreName) -> Result<Option<Found>, ControlError> {
        Ok(bootstrap::find(&self.bus, name).await?)
    }

    /// Makes a store; one that is there and the same is left as it is.
    ///
    /// # Errors
    /// [`ControlError::Store`] names what is different, and changes nothing of it.
    pub async fn make_store(&self, store: &StoreSettings) -> Result<StoreSpec, ControlError> {
        Ok(bootstrap::bootstrap(&self.bus, store).await?)
    }

    /// Gives a store that was `seen` other settings.
    ///
    /// # Errors
    /// [`ControlError::Conflict`]: it is not as it was seen; [`ControlError::Store`].
    pub async fn change_store(
        &self,
        seen: &StoreSettings,
        store: &StoreSettings,
    ) -> Result<StoreSpec, ControlError> {
        let now = self.store(&store.name).await?.map(|found| found.settings);
        if now.as_ref() != Some(seen) && now.as_ref() != Some(store) {
            let what = format!("the store {}", store.name);
            return Err(ControlError::Conflict { what });
        }
        Ok(bootstrap::change(&self.bus, store).await?)
    }

    /// Removes a store that nobody uses, with all that it holds if `even_full`.
    ///
    /// # Errors
    /// [`ControlError::Refused`] names who uses it; [`ControlError::Store`].
    pub async fn remove_store(
        &self,
        name: &StoreName,
        even_full: bool,
    ) -> Result<(), ControlError> {
        rules::removal_of_store(name, &self.landscape().await?)?;
        Ok(bootstrap::remove(&self.bus, name, even_full).await?)
    }
}
