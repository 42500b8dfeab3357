//! The way to one server: TCP, and TLS over it where the address says so.
//!
//! Owns the machine's root certificates, read once for each protocol. Must not know what
//! is spoken inside.

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

/// What is spoken inside of TLS.
#[derive(Debug, Clone, Copy)]
pub(super) enum Inside {
    /// HTTP/1.1, which a WebSocket begins with.
    Http1,
    /// HTTP/2, which gRPC is.
    Http2,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unopened {
    /// Nobody answers there, or a certificate is not the server's; temporary.
    #[error(transparent)]
    Unreachable(#[from] io::Error),
    /// The authorities that are to vouch for servers cannot be had.
    #[error("root certificates: {0}")]
    Roots(String),
    /// No certificate can be for this name.
    #[error("{0:?} is no name of a server")]
    Name(String),
}

impl Unopened {
    /// As whoever opens a session is told.
    pub(super) fn at(self, address: &Address) -> ClientError {
        let url = address.url.clone();
        match self {
            Self::Unreachable(source) => ClientError::Unreachable {
                address: url,
                source: Arc::new(tungstenite::Error::Io(source)),
            },
            Self::Roots(problem) => ClientError::Roots { problem },
            Self::Name(_) => ClientError::Address { address: url },
        }
    }
}

/// Connects. `roots` is a PEM file with the authorities that are trusted instead of the
/// machine's. Has no time limit of its own. Cancel safe: the connection ends.
///
/// # Errors
/// [`Unopened`].
pub(super) async fn open(
    address: &Address,
    roots: Option<&Path>,
    inside: Inside,
) -> Result<Connection, Unopened> {
    let to = (address.host.as_str(), address.port);
    let stream = TcpStream::connect(to).await?;
    // What is sent is gathered by us; Nagle's algorithm would only delay it.
    stream.set_nodelay(true)?;
    if !address.tls {
        return Ok(Either::Left(stream));
    }
    let config = match roots {
        Some(file) => trusting(named(file).await?, inside)?,
        None => machine(inside).await?,
    };
    let server = ServerName::try_from(address.host.clone());
    let server = server.map_err(|_| Unopened::Name(address.host.clone()))?;
    let stream = TlsConnector::from(config).connect(server, stream).await?;
    Ok(Either::Right(Box::new(stream)))
}

fn unusable(problem: impl Into<String>) -> Unopened {
    Unopened::Roots(problem.into())
}

/// TLS with the machine's own roots.
async fn machine(inside: Inside) -> Result<Arc<ClientConfig>, Unopened> {
    static HTTP1: OnceCell<Arc<ClientConfig>> = OnceCell::const_new();
    static HTTP2: OnceCell<Arc<ClientConfig>> = OnceCell::const_new();
    let read = || async {
        // Some hundred files are read.
        let found = tokio::task::spawn_blocking(rustls_native_certs::load_native_certs).await;
        let mut roots = RootCertStore::empty();
        let found = found.map_err(|error| unusable(error.to_string()))?;
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            return Err(unusable("this machine has none"));
        }
        trusting(roots, inside)
    };
    let machine = match inside {
        Inside::Http1 => &HTTP1,
        Inside::Http2 => &HTTP2,
    };
    machine.get_or_try_init(read).await.cloned()
}

/// The roots in a file.
async fn named(file: &Path) -> Result<RootCertStore, Unopened> {
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

fn trusting(roots: RootCertStore, inside: Inside) -> Result<Arc<ClientConfig>, Unopened> {
    // The process may hold several providers; this names its own.
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(error.to_string()))?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    let protocol: &[u8] = match inside {
        Inside::Http1 => b"http/1.1",
        Inside::Http2 => b"h2",
    };
    config.alpn_protocols = vec![protocol.to_vec()];
    Ok(Arc::new(config))
}
