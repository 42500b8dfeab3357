//! The way to one node: TCP, and TLS over it where the address says so.
//!
//! Owns the machine's root certificates, read once. Must not know frames.

use std::io;
use std::path::Path;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_tungstenite::tungstenite;
use tokio_util::either::Either;

use super::address::Address;
use super::error::ClientError;

/// A connection, with TLS or without. Boxed, because one is far larger than the other.
pub(super) type Connection = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// Connects. `roots` is a PEM file with the authorities that are trusted instead of the
/// machine's. Has no time limit of its own. Cancel safe: the connection ends.
///
/// # Errors
/// [`ClientError::Unreachable`], which a certificate is too that is not the node's;
/// [`ClientError::Roots`].
pub(super) async fn open(
    address: &Address,
    roots: Option<&Path>,
) -> Result<Connection, ClientError> {
    let unreachable = |source: io::Error| ClientError::Unreachable {
        address: address.url.clone(),
        source: Arc::new(tungstenite::Error::Io(source)),
    };
    let to = (address.host.as_str(), address.port);
    let stream = TcpStream::connect(to).await.map_err(unreachable)?;
    // Frames are gathered by us; Nagle's algorithm would only delay them.
    stream.set_nodelay(true).map_err(unreachable)?;
    if !address.tls {
        return Ok(Either::Left(stream));
    }
    let config = match roots {
        Some(file) => trusting(named(file).await?)?,
        None => machine().await?,
    };
    let server = ServerName::try_from(address.host.clone()).map_err(|_| ClientError::Address {
        address: address.url.clone(),
    })?;
    let connecting = TlsConnector::from(config).connect(server, stream).await;
    connecting
        .map(|stream| Either::Right(Box::new(stream)))
        .map_err(unreachable)
}

fn unusable(problem: impl Into<String>) -> ClientError {
    ClientError::Roots {
        problem: problem.into(),
    }
}

/// TLS with the machine's own roots.
async fn machine() -> Result<Arc<ClientConfig>, ClientError> {
    static MACHINE: OnceCell<Arc<ClientConfig>> = OnceCell::const_new();
    let read = || async {
        // Some hundred files are read.
        let found = tokio::task::spawn_blocking(rustls_native_certs::load_native_certs).await;
        let mut roots = RootCertStore::empty();
        let found = found.map_err(|error| unusable(error.to_string()))?;
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            return Err(unusable("this machine has none"));
        }
        trusting(roots)
    };
    MACHINE.get_or_try_init(read).await.cloned()
}

/// The roots in a file.
async fn named(file: &Path) -> Result<RootCertStore, ClientError> {
    let shown = file.display();
    let bytes = tokio::fs::read(file).await;
    let bytes = bytes.map_err(|error| unusable(format!("{shown} cannot be read: {error}")))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&bytes) {
        let certificate =
            certificate.map_err(|error| unusable(format!("{shown} is no PEM: {error}")))?;
        let added = roots.add(certificate);
        added.map_err(|error| unusable(format!("{shown} cannot be used: {error}")))?;
    }
    match roots.is_empty() {
        true => Err(unusable(format!("{shown} holds no certificate"))),
        false => Ok(roots),
    }
}

fn trusting(roots: RootCertStore) -> Result<Arc<ClientConfig>, ClientError> {
    // The process may hold several providers; this names its own.
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(error.to_string()))?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
