//! One document over HTTP: a small one, from an address out of settings.
//!
//! Owns the roots of TLS, read once. No redirects, no proxies, no cookies, one
//! connection for each request: what comes is believed because of who answers.

use std::pin::Pin;
use std::sync::Arc;

use hyper::body::Body;
use hyper::client::conn::http1;
use hyper::{Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};
use url::Url;

/// Why there is no document; trying again may help.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The URL has no host, or a scheme that is not spoken here.
    #[error("the URL is not https or http to a host")]
    Url,
    /// Nobody takes the connection.
    #[error("cannot connect: {0}")]
    Connect(#[source] std::io::Error),
    /// The server has no certificate for its name that this machine's roots vouch for.
    #[error("TLS: {0}")]
    Tls(#[source] std::io::Error),
    /// The machine's roots cannot be had.
    #[error("TLS: this machine has no usable root certificates")]
    Roots,
    /// The server does not speak HTTP, or broke off.
    #[error("HTTP: {0}")]
    Http(#[source] Box<hyper::Error>),
    /// The server answered with another status.
    #[error("the answer is {0}, not 200")]
    Status(StatusCode),
    /// The document is longer than it may be.
    #[error("the answer has more than {max} bytes")]
    TooLong {
        /// The most, in bytes.
        max: usize,
    },
}

/// Gets a document of at most `max` bytes. Has no time limit of its own. Cancel safe: the
/// connection ends.
///
/// # Errors
/// [`FetchError`].
pub async fn get(url: &Url, max: usize) -> Result<Vec<u8>, FetchError> {
    let host = url.host_str().ok_or(FetchError::Url)?;
    let port = url.port_or_known_default().ok_or(FetchError::Url)?;
    // An address of IPv6 stands in brackets, and is looked up without.
    let name = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((name, port))
        .await
        .map_err(FetchError::Connect)?;
    match url.scheme() {
        "http" => answer(stream, url, max).await,
        "https" => {
            let server = ServerName::try_from(name.to_owned()).map_err(|_| FetchError::Url)?;
            let tls = TlsConnector::from(roots().await?);
            let stream = tls.connect(server, stream).await.map_err(FetchError::Tls)?;
            answer(stream, url, max).await
        }
        _ => Err(FetchError::Url),
    }
}

/// TLS with the machine's own roots.
async fn roots() -> Result<Arc<ClientConfig>, FetchError> {
    static ROOTS: OnceCell<Arc<ClientConfig>> = OnceCell::const_new();
    let read = || async {
        // Some hundred files are read.
        let found = tokio::task::spawn_blocking(rustls_native_certs::load_native_certs).await;
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(found.map_err(|_| FetchError::Roots)?.certs);
        if store.is_empty() {
            return Err(FetchError::Roots);
        }
        // The process may hold several providers; this names its own.
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|_| FetchError::Roots)?;
        let config = config.with_root_certificates(store).with_no_client_auth();
        Ok(Arc::new(config))
    };
    ROOTS.get_or_try_init(read).await.cloned()
}

async fn answer<S>(stream: S, url: &Url, max: usize) -> Result<Vec<u8>, FetchError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let http = |error| FetchError::Http(Box::new(error));
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(http)?;
    let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let authority = &url[url::Position::BeforeHost..url::Position::AfterPort];
    let request = Request::get(target)
        .header(header::HOST, authority)
        .header(header::ACCEPT, "application/json")
        .header(header::CONNECTION, "close")
        .body(String::new())
        .map_err(|_| FetchError::Url)?;
    let read = async {
        let response = sender.send_request(request).await.map_err(http)?;
        document(response, max).await
    };
    tokio::pin!(read, connection);
    let mut open = true;
    loop {
        // The connection has to be polled for the answer to come; both go on where they
        // were.
        tokio::select! {
            document = &mut read => return document,
            _ = &mut connection, if open => open = false,
        }
    }
}

async fn document<B>(response: Response<B>, max: usize) -> Result<Vec<u8>, FetchError>
where
    B: Body<Error = hyper::Error> + Unpin,
{
    if response.status() != StatusCode::OK {
        return Err(FetchError::Status(response.status()));
    }
    let (mut body, mut whole) = (response.into_body(), Vec::new());
    while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let frame = frame.map_err(|error| FetchError::Http(Box::new(error)))?;
        let Ok(mut data) = frame.into_data() else {
            continue;
        };
        while bytes::Buf::has_remaining(&data) {
            let chunk = bytes::Buf::chunk(&data);
            if whole.len() + chunk.len() > max {
                return Err(FetchError::TooLong { max });
            }
            whole.extend_from_slice(chunk);
            let read = chunk.len();
            bytes::Buf::advance(&mut data, read);
        }
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// Gets from a server that answers the one request with these bytes.
    async fn answered(bytes: String, max: usize) -> Result<Vec<u8>, FetchError> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                stream.read_buf(&mut request).await.unwrap();
            }
            let head = format!("GET /keys?v=1 HTTP/1.1\r\nhost: {address}\r\n");
            assert!(String::from_utf8_lossy(&request).starts_with(&head));
            // It may have been cut off by then.
            let _ = stream.write_all(bytes.as_bytes()).await;
        };
        let url = Url::parse(&format!("http://{address}/keys?v=1#part")).unwrap();
        tokio::join!(get(&url, max), serve).0
    }

    fn whole(body: &str) -> String {
        format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    #[tokio::test]
    async fn a_document_within_and_beyond_its_limit() {
        assert_eq!(answered(whole("12345"), 5).await.unwrap(), b"12345");
        let long = answered(whole("123456"), 5).await;
        assert!(matches!(long, Err(FetchError::TooLong { max: 5 })));
        let chunks = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\n123\r\n3\r\n456\r\n0\r\n\r\n";
        let long = answered(chunks.into(), 5).await;
        assert!(matches!(long, Err(FetchError::TooLong { max: 5 })));
        assert_eq!(answered(chunks.into(), 6).await.unwrap(), b"123456");
    }

    #[tokio::test]
    async fn anything_but_the_document_itself_is_none() {
        let moved =
            "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1/\r\ncontent-length: 0\r\n\r\n";
        let moved = answered(moved.into(), 5).await;
        assert!(matches!(moved, Err(FetchError::Status(StatusCode::FOUND))));
        let cut = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n123";
        assert!(matches!(
            answered(cut.into(), 5).await,
            Err(FetchError::Http(_))
        ));
        assert!(matches!(
            answered("SSH-2.0\r\n".into(), 5).await,
            Err(FetchError::Http(_))
        ));
        let url = Url::parse("ftp://127.0.0.1:1/").unwrap();
        assert!(get(&url, 5).await.is_err());
    }
}
