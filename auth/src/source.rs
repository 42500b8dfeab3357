//! One source of keys: whose tokens it may sign, and the keys as they are known now.
//!
//! Owns its cache, under a lock that is never held across a wait.

use std::sync::Arc;

use parking_lot::Mutex;
use protocol::name::Tenant;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::cache::{Cache, Unknown};
use crate::claims::Demands;
use crate::keys::Keys;
use crate::settings::Place;

/// Keys, and where they come from.
pub(crate) enum Held {
    /// Known once and for all.
    Fixed(Arc<Keys>),
    /// Read again and again.
    Read(Box<Reading>),
}

/// Keys that are read.
pub(crate) struct Reading {
    /// Where.
    pub place: Place,
    /// What is known.
    pub cache: Mutex<Cache<Keys>>,
    /// A read may be due sooner than it was.
    pub sooner: Notify,
}

/// One source.
pub(crate) struct Source {
    /// The tenants whose tokens it may sign; empty: all.
    pub tenants: Vec<Tenant>,
    /// What their claims must say.
    pub demands: Demands,
    /// Its keys.
    pub held: Held,
}

impl Source {
    /// Whether a token that says so may be signed by it. What a token says of itself can
    /// only rule keys out.
    pub(crate) fn serves(&self, tenant: Option<&str>, issuer: Option<&str>) -> bool {
        let listed = |tenant: &str| self.tenants.iter().any(|known| known.as_str() == tenant);
        let tenant = self.tenants.is_empty() || tenant.is_some_and(listed);
        // Without `iss` the claim's own check says what is missing.
        let named = |wanted: &String| issuer.is_none_or(|issuer| issuer == wanted);
        tenant && self.demands.issuer.as_ref().is_none_or(named)
    }

    /// The keys that may be believed now.
    pub(crate) fn keys(&self, now: Instant) -> Option<Arc<Keys>> {
        match &self.held {
            Held::Fixed(keys) => Some(keys.clone()),
            Held::Read(reading) => reading.cache.lock().keys(now).cloned(),
        }
    }

    /// Whether its keys have been looked for.
    pub(crate) fn is_tried(&self) -> bool {
        match &self.held {
            Held::Fixed(_) => true,
            Held::Read(reading) => reading.cache.lock().is_tried(),
        }
    }

    /// A token names a key that is not among them.
    pub(crate) fn unknown(&self, id: &str) -> Unknown {
        match &self.held {
            Held::Fixed(_) => Unknown::Never,
            Held::Read(reading) => {
                let unknown = reading.cache.lock().unknown(id);
                if unknown == Unknown::Later {
                    reading.sooner.notify_one();
                }
                unknown
            }
        }
    }

    /// Whether its keys are a secret, which tokens do not name.
    pub(crate) fn is_secret(&self) -> bool {
        matches!(self.held, Held::Fixed(_))
    }
}
