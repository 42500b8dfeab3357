//! Why a node does not start. What a client is told is in `protocol::error_code`.

use std::net::SocketAddr;

use archive::MirrorFault;
use auth::SettingFault;
use bus::BusError;
use service::fault::FaultError;

use door::certificate::CertificateFault;

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum EdgeError {
    /// A setting is below its minimum.
    #[error("setting {setting} is {value}, at least {min} is needed")]
    Setting {
        /// Which.
        setting: &'static str,
        /// Its value.
        value: u64,
        /// The least.
        min: u64,
    },
    /// A setting is above what NATS has room for.
    #[error("setting {setting} is {value}, nats takes at most {max}")]
    Room {
        /// Which.
        setting: &'static str,
        /// Its value.
        value: usize,
        /// The most.
        max: usize,
    },
    /// What tokens are checked with is not usable.
    #[error(transparent)]
    Auth(#[from] SettingFault),
    /// A bridge that history is read from cannot be used.
    #[error("setting {0}")]
    Mirror(#[from] MirrorFault),
    /// The certificate of the clients' listener, or its key, is not usable.
    #[error("setting tls: {0}")]
    Certificate(#[from] CertificateFault),
    /// The machine cannot do TLS; only another one helps.
    #[error("tls cannot be used")]
    Tls(#[source] tokio_rustls::rustls::Error),
    /// The fault switches are not readable, or this is a release build.
    #[error("setting faults")]
    Faults(#[source] FaultError),
    /// The address cannot be bound.
    #[error("cannot listen on {listen}")]
    Listen {
        /// The address.
        listen: SocketAddr,
        /// The system's reason.
        source: std::io::Error,
    },
    /// NATS cannot be reached; temporary.
    #[error("cannot use nats at {url}")]
    Nats {
        /// The address.
        url: String,
        /// The bus's reason.
        source: BusError,
    },
}

impl EdgeError {
    /// Whether only other settings help.
    pub fn is_settings(&self) -> bool {
        matches!(
            self,
            Self::Setting { .. }
                | Self::Room { .. }
                | Self::Auth(_)
                | Self::Mirror(_)
                | Self::Certificate(_)
                | Self::Faults(_)
                | Self::Nats {
                    source: BusError::Setting { .. },
                    ..
                }
        )
    }
}
