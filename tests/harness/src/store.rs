//! Makes the store of a test, on servers that may have come up a moment ago.
//!
//! Owns nothing.

use bus::Bus;
use bus::bootstrap::{BootstrapError, StoreSettings, bootstrap};
use protocol::spec::StoreSpec;

use crate::wait;

/// Makes the store. On a loaded machine a server of three that is there may count as away
/// for a moment: what is temporary is tried again.
///
/// # Panics
/// If it cannot be made, or not within the deadline.
pub async fn make(bus: &Bus, settings: &StoreSettings) -> StoreSpec {
    let made = wait::until("the store can be made", async || {
        match bootstrap(bus, settings).await {
            Err(BootstrapError::Bus(error)) if error.temporary() => Err(error.to_string()),
            other => Ok(other),
        }
    });
    made.await.expect("the settings are accepted")
}
