//! Which bridge has the past of which store. Plain data.

use std::path::PathBuf;

use auth::AuthError;
use protocol::name::StoreName;
use protocol::secret::Secret;
use serde::{Deserialize, Serialize};

/// Where the past of a store is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MirrorSettings {
    /// The store.
    pub store: StoreName,
    /// The gRPC address of a bridge that mirrors it: `host:port`, or `https://host:port`
    /// for one with TLS.
    pub grpc: String,
    /// A PEM file with the authorities that vouch for it; the machine's own unless given.
    #[serde(default)]
    pub roots: Option<PathBuf>,
    /// The bridge's own `token_secret`, at least 32 bytes: with it the node signs, for
    /// each page, a token of its reader's tenant for that channel alone.
    pub token_secret: Secret,
}

/// Why the settings of a mirror are not usable.
#[derive(Debug, thiserror::Error)]
pub enum MirrorFault {
    /// It is no address.
    #[error("mirrors[{at}].grpc is not usable, HOST:PORT is needed")]
    Grpc {
        /// Which mirror.
        at: usize,
    },
    /// It cannot sign.
    #[error("mirrors[{at}].token_secret")]
    Secret {
        /// Which mirror.
        at: usize,
        /// Why.
        source: AuthError,
    },
    /// A store has one past.
    #[error("mirrors[{at}].store names {store}, as another one does")]
    Twice {
        /// Which mirror.
        at: usize,
        /// The store.
        store: StoreName,
    },
}
