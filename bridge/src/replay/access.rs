//! Who may read: tokens are checked, and what is revoked is known.
//!
//! Owns the keys and the list, which its task keeps fresh.

use auth::{Identity, Verifier};
use service::shutdown::Shutdown;

use super::fault::ReplayFault;
use crate::config::BridgeConfig;
use crate::error::BridgeError;

/// Checks who reads. Clones share what they know.
#[derive(Clone)]
pub(crate) struct Access {
    verifier: Verifier,
}

impl Access {
    /// Takes the settings.
    ///
    /// # Errors
    /// [`BridgeError::Auth`] names the one that is not accepted.
    pub(crate) fn new(config: &BridgeConfig) -> Result<Self, BridgeError> {
        Ok(Self {
            verifier: Verifier::new(&config.token_secret, &config.auth)?,
        })
    }

    /// Keeps fresh what it knows, until the shutdown.
    pub(crate) async fn follow(self, shutdown: Shutdown) -> Result<(), BridgeError> {
        self.verifier.follow(shutdown).await;
        Ok(())
    }

    /// What is waited for before anybody may read, in words.
    pub(crate) fn waiting(&self) -> Vec<String> {
        self.verifier.waiting()
    }

    /// Checks a token.
    ///
    /// # Errors
    /// [`ReplayFault::Token`].
    pub(crate) fn identify(&self, token: &str) -> Result<Identity, ReplayFault> {
        Ok(self.verifier.verify(token)?)
    }
}
