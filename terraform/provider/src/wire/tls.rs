//! A certificate for one run, and TLS by it.
//!
//! The other side knows the provider by this certificate, which it reads from the
//! handshake. The provider knows the other side by the folder of its socket, which is its
//! user's alone: Terraform's own certificate is of a curve that ring does not verify.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// The name that Terraform expects.
const NAME: &str = "localhost";
/// gRPC's protocol, which its clients insist on.
const ALPN: &[u8] = b"h2";

/// A certificate and what speaks TLS by it.
pub struct Tls {
    /// The certificate, DER.
    pub certificate: Vec<u8>,
    /// Accepts.
    pub acceptor: TlsAcceptor,
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// None can be made.
    #[error("no certificate can be made")]
    Made(#[from] rcgen::Error),
    /// It cannot be used.
    #[error("the certificate cannot be used")]
    Used(#[from] tokio_rustls::rustls::Error),
}

impl Tls {
    /// Makes a certificate.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn for_this_run() -> Result<Self, TlsError> {
        let mut params = CertificateParams::new(vec![NAME.to_owned()])?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyCertSign,
        ];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        let private = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let chain = vec![certificate.der().clone()];
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, private)?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Self {
            certificate: certificate.der().to_vec(),
            acceptor: TlsAcceptor::from(Arc::new(config)),
        })
    }
}
