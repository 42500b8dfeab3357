//! TLS with clients: 1.2 and 1.3, and one protocol inside (RFC 8446, RFC 7301).
//!
//! Owns the pair that is shown. Connections that stand keep what was agreed on when it
//! changes.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring::Ticketer;
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert, ServerConfig};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{self, version};
use tokio_rustls::server::TlsStream;

use super::certificate::provider;

/// Why the machine cannot do TLS.
pub type TlsFault = rustls::Error;
/// A connection on which TLS is agreed.
pub type Stream = TlsStream<TcpStream>;

/// HTTP/1.1 inside, as ALPN names it.
pub const HTTP1: &[u8] = b"http/1.1";
/// HTTP/2 inside, which gRPC is.
pub const HTTP2: &[u8] = b"h2";
/// Bytes that TLS may hold of what has been written to it: one record. Whatever is held
/// there counts as taken by the client, so it must be less than what a slow one takes
/// before it is closed.
const HELD_BYTES_MAX: usize = 16 * 1024;
/// What somebody is told who speaks HTTP where TLS is spoken.
const PLAIN: &str = "this port speaks TLS: use https:// or wss://\n";
/// How long that may take to be written, and its end to be seen. Closed earlier with
/// bytes unread, the system would reset the connection, and the answer could be lost.
const PLAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// The pair that is shown to who comes now.
#[derive(Debug)]
pub struct Shown(RwLock<Arc<CertifiedKey>>);

impl Shown {
    /// Shows a pair.
    pub fn new(pair: Arc<CertifiedKey>) -> Self {
        Self(RwLock::new(pair))
    }

    /// Shows another one from now on.
    pub fn show(&self, pair: Arc<CertifiedKey>) {
        *self.0.write() = pair;
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().clone())
    }
}

/// TLS with clients.
#[derive(Clone)]
pub struct Tls(TlsAcceptor);

impl Tls {
    /// TLS that shows this pair, with this protocol inside.
    ///
    /// # Errors
    /// The provider of cryptography lacks something, or the system has no randomness.
    pub fn new(shown: Arc<Shown>, inside: &[u8]) -> Result<Self, TlsFault> {
        let builder = ServerConfig::builder_with_provider(provider());
        let builder = builder.with_protocol_versions(&[&version::TLS13, &version::TLS12])?;
        let mut config = builder.with_no_client_auth().with_cert_resolver(shown);
        config.alpn_protocols = vec![inside.to_vec()];
        // What a client needs to come back sooner it keeps itself: nothing is kept here
        // for those who are gone.
        config.ticketer = Ticketer::new()?;
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    /// Agrees on TLS, in this time. Who speaks HTTP instead is told so. Cancel safe: the
    /// connection ends.
    ///
    /// # Errors
    /// Why the connection is turned away, for the count of those.
    pub async fn accept(
        &self,
        stream: TcpStream,
        within: Duration,
    ) -> Result<Stream, &'static str> {
        let handshake = async {
            let mut first = [0];
            let looked = stream.peek(&mut first).await;
            // A request begins with its method, a handshake with the number 22.
            if looked.is_ok_and(|read| read > 0) && first[0].is_ascii_uppercase() {
                return Err(Some(stream));
            }
            let accepting = self.0.accept_with(stream, |session| {
                session.set_buffer_limit(Some(HELD_BYTES_MAX));
            });
            accepting.await.map_err(|_| None)
        };
        match timeout(within, handshake).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(None)) => Err("tls"),
            Ok(Err(Some(plain))) => {
                // It may be gone.
                let _ = timeout(PLAIN_TIMEOUT, answer_plain(plain)).await;
                Err("not_tls")
            }
            Err(_) => Err("tls_timeout"),
        }
    }
}

async fn answer_plain(mut stream: TcpStream) -> std::io::Result<()> {
    let answer = format!(
        "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{PLAIN}",
        PLAIN.len()
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await?;
    let mut rest = [0; 1024];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}
