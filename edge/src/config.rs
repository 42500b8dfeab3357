//! Settings of a node. Owns nothing at run time; what a client may do is in
//! `core::limits`.

use std::net::SocketAddr;

use archive::MirrorSettings;
use auth::AuthSettings;
use protocol::header::HEADERS_BYTES_MAX;
use protocol::secret::Secret;
use serde::{Deserialize, Serialize};
use service::listener;
use service::settings::NatsSettings;

use crate::core::limits::EdgeLimits;
use crate::core::limits::PROBE_INTERVAL_DEFAULT;
use crate::error::EdgeError;
use door::certificate::TlsSettings;

/// Settings of one node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EdgeConfig {
    /// The node's name in logs and in NATS.
    pub name: String,
    /// Where the binary listens.
    pub listen: SocketAddr,
    /// How to reach NATS.
    pub nats: NatsSettings,
    /// The secret of HS256 tokens, at least 32 bytes; there is no default. Empty: only
    /// the keys in `auth` count.
    pub token_secret: Secret,
    /// How tokens are checked, and further keys.
    pub auth: AuthSettings,
    /// The web pages that may use the node, as browsers name them
    /// (`https://app.example.org`); empty: all. Whoever is no browser is not asked.
    pub origins: Vec<String>,
    /// TLS with clients; off unless its files are named.
    pub tls: TlsSettings,
    /// The proxies that clients come through, as addresses (`192.0.2.7`) or networks
    /// (`10.0.0.0/8`): from them each connection begins with a header of the PROXY
    /// protocol, version 2, and from others none does. Empty: there are none.
    pub proxies: Vec<String>,
    /// The bridges from which history is read that a store no longer keeps, and which are
    /// asked where the mirror has an event that is traced. Of a store that is not named,
    /// history begins where the store does, and traces say nothing of the mirror.
    pub mirrors: Vec<MirrorSettings>,
    /// What a client may do.
    pub limits: EdgeLimits,
    /// How often quiet channels are compared with the stream, milliseconds.
    pub probe_interval_ms: u64,
    /// Where health and metrics are served; port 0: a free one, which the log names.
    pub health: SocketAddr,
    /// Test-only switches; a release build refuses any.
    pub faults: String,
}

impl Default for EdgeConfig {
    fn default() -> Self {
        Self {
            name: "edge".into(),
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            nats: NatsSettings::default(),
            token_secret: Secret::default(),
            auth: AuthSettings::default(),
            origins: Vec::new(),
            tls: TlsSettings::default(),
            proxies: Vec::new(),
            mirrors: Vec::new(),
            limits: EdgeLimits::default(),
            probe_interval_ms: PROBE_INTERVAL_DEFAULT.as_millis() as u64,
            health: listener::ADDR_DEFAULT,
            faults: String::new(),
        }
    }
}

impl EdgeConfig {
    /// Checks what the types do not say.
    ///
    /// # Errors
    /// [`EdgeError::Setting`] names the first setting that cannot be used.
    pub fn check(&self) -> Result<(), EdgeError> {
        let least = self.limits.least();
        let probe = ("probe_interval_ms", self.probe_interval_ms, 1);
        let least = least.into_iter().chain([probe]);
        match { least }.find(|(_, value, min)| value < min) {
            Some((setting, value, min)) => Err(EdgeError::Setting {
                setting,
                value,
                min,
            }),
            None => Ok(()),
        }
    }

    /// Checks that whatever is accepted can be stored, and buried: a dead letter holds
    /// its input with headers of its own, and one that NATS refuses would hold its lane
    /// up for ever. `max_payload` is the most that NATS takes in one message, bytes.
    ///
    /// # Errors
    /// [`EdgeError::Room`].
    pub fn check_room(&self, max_payload: usize) -> Result<(), EdgeError> {
        let (value, max) = (
            self.limits.data_bytes,
            max_payload.saturating_sub(HEADERS_BYTES_MAX),
        );
        if value <= max {
            return Ok(());
        }
        Err(EdgeError::Room {
            setting: "limits.data_bytes",
            value,
            max,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_within_and_beyond_what_nats_takes() {
        let mut config = EdgeConfig::default();
        config.limits.data_bytes = (1 << 20) - HEADERS_BYTES_MAX;
        assert!(config.check_room(1 << 20).is_ok());
        config.limits.data_bytes += 1;
        let error = config.check_room(1 << 20).unwrap_err();
        assert!(error.is_settings() && error.to_string().contains("limits.data_bytes"));
    }

    #[test]
    fn an_outbox_within_and_beyond_its_limit() {
        let mut config = EdgeConfig::default();
        config.limits.outbox_bytes = 4 * config.limits.data_bytes;
        assert!(config.check().is_ok());
        config.limits.outbox_bytes -= 1;
        assert!(matches!(
            config.check(),
            Err(EdgeError::Setting {
                setting: "limits.outbox_bytes",
                ..
            })
        ));
    }
}
