//! Why the bridge does not start, or ends.

use auth::SettingFault;
use bus::BusError;
use bus::directory::StoreError;
use door::certificate::CertificateFault;
use door::tls::TlsFault;
use rdkafka::error::KafkaError;
use service::fault::FaultError;

use crate::config::ConfigError;

/// Why the bridge does not start, or ends.
#[derive(Debug, thiserror::Error)]
pub enum BridgeError {
    /// A setting is not accepted.
    #[error("settings: {0}")]
    Config(#[from] ConfigError),
    /// The token secret is too short.
    #[error("settings: {0}")]
    Auth(#[from] SettingFault),
    /// The certificate of the gRPC listener, or its key, is not usable.
    #[error("settings: tls: {0}")]
    Certificate(#[from] CertificateFault),
    /// The machine cannot do TLS; only another one helps.
    #[error("tls cannot be used")]
    Tls(#[source] TlsFault),
    /// The test switches are not accepted.
    #[error("settings: faults: {0}")]
    Faults(#[from] FaultError),
    /// librdkafka refuses a setting.
    #[error("settings: kafka")]
    Kafka(#[from] KafkaError),
    /// NATS is out of reach, or refuses.
    #[error("nats")]
    Bus(#[from] BusError),
    /// The store does not exist yet, or its spec is not readable.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Health and metrics cannot be served.
    #[error("the listener for health and metrics")]
    Health(#[source] std::io::Error),
    /// The listener is of no use.
    #[error("the grpc listener")]
    Listener(#[source] std::io::Error),
    /// The gRPC server ended.
    #[error("the grpc server")]
    Grpc(#[source] tonic::transport::Error),
    /// A part of the bridge panicked; the log says where.
    #[error("a part of the bridge failed")]
    Part,
}

impl BridgeError {
    /// Whether only other settings help.
    pub fn is_settings(&self) -> bool {
        matches!(
            self,
            Self::Config(_)
                | Self::Auth(_)
                | Self::Certificate(_)
                | Self::Faults(_)
                | Self::Kafka(_)
                | Self::Bus(BusError::Setting { .. })
        )
    }
}
