//! The names of streams, buckets and the rules that hold for them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::name::StoreName;

/// The name of a JetStream stream that Eddyline owns.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StreamName(Box<str>);

impl StreamName {
    /// Raw input of the store's function namespaces.
    pub fn ingress(store: &StoreName) -> Self {
        Self(format!("INGRESS-{store}").into())
    }

    /// Stored events, checkpoints and dead letters.
    pub fn events(store: &StoreName) -> Self {
        Self(format!("EVENTS-{store}").into())
    }

    /// The longer-kept copy of the dead letters.
    pub fn rejected(store: &StoreName) -> Self {
        Self(format!("REJECTED-{store}").into())
    }

    /// What functions remember of their channels.
    pub fn state(store: &StoreName) -> Self {
        Self(format!("STATE-{store}").into())
    }

    /// What the store's functions write into their logs.
    pub fn logs(store: &StoreName) -> Self {
        Self(format!("LOGS-{store}").into())
    }

    /// Reads the name of one of a store's streams.
    pub fn parse(text: &str) -> Option<Self> {
        let (prefix, store) = text.split_once('-')?;
        let known = matches!(prefix, "INGRESS" | "EVENTS" | "REJECTED" | "STATE" | "LOGS");
        (known && StoreName::parse(store).is_ok()).then(|| Self(text.into()))
    }

    /// Whether it holds raw input.
    pub fn is_ingress(&self) -> bool {
        self.0.starts_with("INGRESS-")
    }

    /// The stream of the same store in which what passes a gate is stored.
    pub fn behind_gate(&self) -> Option<Self> {
        let store = self.0.strip_prefix("INGRESS-")?;
        Some(Self(format!("EVENTS-{store}").into()))
    }

    /// Whether it holds what clients publish: raw input, or events.
    pub fn holds_events(&self) -> bool {
        self.is_ingress() || self.0.starts_with("EVENTS-")
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The key-value buckets, which are also the control plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Bucket {
    /// Store and namespace specs, mirror partitions.
    Config,
    /// Function specs.
    Functions,
    /// Who owns which shard.
    Leases,
    /// What each worker says of itself; ends by itself.
    Workers,
    /// Which worker owns which lane.
    Lanes,
    /// What is revoked before its time.
    Revocations,
    /// How many bytes tenants have stored.
    Usage,
    /// Who is on which channel, and which edge nodes live.
    Presence,
    /// Who is to be disconnected now; ends by itself.
    Disconnects,
}

impl Bucket {
    /// The bucket's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Config => "CONFIG",
            Self::Functions => "FUNCTIONS",
            Self::Leases => "LEASES",
            Self::Workers => "WORKERS",
            Self::Lanes => "LANES",
            Self::Revocations => "REVOCATIONS",
            Self::Usage => "USAGE",
            Self::Presence => "PRESENCE",
            Self::Disconnects => "DISCONNECTS",
        }
    }
}

/// The object store that holds Wasm modules under their sha-256 digest.
pub const MODULES: &str = "MODULES";

/// Largest module, in bytes: an interpreter as a component has about 20 MiB. What may be
/// stored may be compiled, and the other way round.
pub const MODULE_BYTES_MAX: usize = 32 << 20;
