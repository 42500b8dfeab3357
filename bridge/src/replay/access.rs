//! Who may read: tokens are checked, and what is revoked is known.
//!
//! Owns the keys and the list, which its task keeps fresh.

use std::sync::Arc;
use std::time::Duration;

use auth::{Identity, Verifier};
use bus::Bus;
use bus::revocations::{self, RevocationList};
use service::clock::now_us;
use service::shutdown::Shutdown;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{interval, timeout};

use super::fault::ReplayFault;
use crate::config::BridgeConfig;
use crate::error::BridgeError;

/// How long a read waits, after a start, until it is known what is revoked.
const KNOWN_TIMEOUT: Duration = Duration::from_secs(5);
/// How often it looks meanwhile.
const KNOWN_INTERVAL: Duration = Duration::from_millis(20);

/// Checks who reads. Clones share what they know.
#[derive(Clone)]
pub(crate) struct Access {
    verifier: Verifier,
    revocations: Arc<RevocationList>,
}

impl Access {
    /// Takes the settings.
    ///
    /// # Errors
    /// [`BridgeError::Auth`] names the one that is not accepted.
    pub(crate) fn new(config: &BridgeConfig) -> Result<Self, BridgeError> {
        Ok(Self {
            verifier: Verifier::new(&config.token_secret, &config.auth)?,
            revocations: Arc::default(),
        })
    }

    /// Keeps fresh what it knows, until the shutdown.
    pub(crate) async fn follow(self, bus: Bus, shutdown: Shutdown) -> Result<(), BridgeError> {
        let revocations = revocations::follow(bus, self.revocations, shutdown.clone());
        tokio::join!(self.verifier.follow(shutdown), revocations);
        Ok(())
    }

    /// What is waited for before anybody may read, in words.
    pub(crate) fn waiting(&self) -> Vec<String> {
        let mut waiting = self.verifier.waiting();
        if self.revocations.snapshot().is_none() {
            waiting.push("what is revoked has not been read".to_owned());
        }
        waiting
    }

    /// Waits for a while until it is known what is revoked: a bridge that has just started
    /// would refuse everybody otherwise. Cancel safe.
    pub(crate) async fn known(&self) {
        let mut looks = interval(KNOWN_INTERVAL);
        let known = async {
            while self.revocations.snapshot().is_none() {
                looks.tick().await;
            }
        };
        // Who still does not know then says so.
        let _ = timeout(KNOWN_TIMEOUT, known).await;
    }

    /// Checks a token.
    ///
    /// # Errors
    /// [`ReplayFault::Token`], [`ReplayFault::Revoked`], [`ReplayFault::RevocationsUnknown`].
    pub(crate) fn identify(&self, token: &str) -> Result<Identity, ReplayFault> {
        let identity = self.verifier.verify(token)?;
        self.check(&identity)?;
        Ok(identity)
    }

    fn check(&self, identity: &Identity) -> Result<(), ReplayFault> {
        let all = self.revocations.snapshot();
        let all = all.ok_or(ReplayFault::RevocationsUnknown)?;
        match all.bars(&identity.bearer(), now_us()) {
            true => Err(ReplayFault::Revoked),
            false => Ok(()),
        }
    }

    /// Waits until a token is revoked that was accepted. Cancel safe.
    pub(crate) async fn revoked(self, identity: Identity) {
        let mut changes = self.revocations.changes();
        // What came between its check and this is seen at once; whoever has missed a
        // change looks again all the same.
        while !matches!(self.check(&identity), Err(ReplayFault::Revoked)) {
            if let Err(RecvError::Closed) = changes.recv().await {
                std::future::pending::<()>().await;
            }
        }
    }
}
