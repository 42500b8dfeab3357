//! From an HTTP request to a WebSocket session, by hand, so that the session owns
//! the bare socket and can write payloads that all sessions share.
//!
//! Owns nothing; RFC 6455, section 4.2.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Version, header};
use axum::response::IntoResponse;
use axum::{Extension, body::Body};
use hyper::upgrade::{Parts, Upgraded};
use hyper_util::rt::TokioIo;
use protocol::frame::Encoding;
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::session;
use crate::core::metrics;
use crate::node::{Node, Place};

/// Answers `GET /v1/ws`.
pub async fn upgrade(
    State(node): State<Arc<Node>>,
    Extension(place): Extension<Arc<Place>>,
    mut request: Request,
) -> Response<Body> {
    if node.shutdown.is_triggered() {
        return turned_away(
            StatusCode::SERVICE_UNAVAILABLE,
            "draining",
            "the node is draining",
        );
    }
    if !node.hub.namespaces.is_loaded() {
        // Served now, a client would be told that its namespace does not exist.
        return turned_away(
            StatusCode::SERVICE_UNAVAILABLE,
            "not_loaded",
            "the configuration has not been read",
        );
    }
    let accept = match accept_key(&request) {
        Ok(accept) => accept,
        Err(refusal) => return refusal.answer(),
    };
    let Ok(permit) = node.sessions.clone().try_acquire_owned() else {
        return turned_away(
            StatusCode::SERVICE_UNAVAILABLE,
            "sessions",
            "the node has as many sessions as it may",
        );
    };
    let encoding = chosen(request.headers());
    let upgraded = hyper::upgrade::on(&mut request);
    let (hub, shutdown) = (node.hub.clone(), node.shutdown.clone());
    node.clients.spawn(async move {
        // An error means that the peer broke off during the handshake.
        let Ok(upgraded) = upgraded.await else {
            return metrics::turned_away("upgrade");
        };
        match bare(upgraded) {
            Some(Bare::Plain(stream, rest)) => {
                session::run(hub, shutdown, stream, rest, encoding).await;
            }
            // Boxed: without TLS nobody pays for its size.
            Some(Bare::Tls(stream, rest)) => {
                Box::pin(session::run(hub, shutdown, *stream, rest, encoding)).await;
            }
            None => metrics::turned_away("upgrade"),
        }
        drop((permit, place));
    });
    let mut response = Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::CONNECTION, "upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_ACCEPT, accept);
    if let Some(encoding) = encoding {
        response = response.header(
            header::SEC_WEBSOCKET_PROTOCOL,
            HeaderValue::from_static(encoding.protocol()),
        );
    }
    response.body(Body::empty()).expect("the headers are valid")
}

/// The stream under HTTP, and what was read of it.
enum Bare {
    Plain(TcpStream, Vec<u8>),
    Tls(Box<TlsStream<TcpStream>>, Vec<u8>),
}

fn bare(upgraded: Upgraded) -> Option<Bare> {
    // Copied: even an empty rest would keep the HTTP buffer for the session's life.
    match upgraded.downcast::<TokioIo<TcpStream>>() {
        Ok(Parts { io, read_buf, .. }) => Some(Bare::Plain(io.into_inner(), read_buf.to_vec())),
        Err(upgraded) => match upgraded.downcast::<TokioIo<TlsStream<TcpStream>>>() {
            Ok(Parts { io, read_buf, .. }) => {
                Some(Bare::Tls(Box::new(io.into_inner()), read_buf.to_vec()))
            }
            Err(_) => None,
        },
    }
}

fn turned_away(status: StatusCode, reason: &'static str, message: &'static str) -> Response<Body> {
    metrics::turned_away(reason);
    (status, message).into_response()
}

/// Why a request is no handshake.
#[derive(Debug, PartialEq)]
pub enum Refusal {
    /// It is malformed.
    Malformed(&'static str),
    /// It asks for another version of the protocol.
    Version,
}

impl Refusal {
    fn answer(self) -> Response<Body> {
        match self {
            Self::Malformed(problem) => turned_away(StatusCode::BAD_REQUEST, "handshake", problem),
            Self::Version => {
                let mut response = turned_away(
                    StatusCode::UPGRADE_REQUIRED,
                    "handshake",
                    "Sec-WebSocket-Version must be 13",
                );
                // RFC 6455, section 4.4, and RFC 9110, section 15.5.22.
                let headers = response.headers_mut();
                for (name, value) in [
                    (header::SEC_WEBSOCKET_VERSION, "13"),
                    (header::UPGRADE, "websocket"),
                    (header::CONNECTION, "upgrade"),
                ] {
                    headers.insert(name, HeaderValue::from_static(value));
                }
                response
            }
        }
    }
}

/// Checks the client's part of the handshake (RFC 6455, section 4.2.1) and answers its
/// key.
pub fn accept_key<B>(request: &axum::http::Request<B>) -> Result<String, Refusal> {
    let headers = request.headers();
    if request.method() != Method::GET || request.version() != Version::HTTP_11 {
        return Err(Refusal::Malformed("a handshake is a GET of HTTP/1.1"));
    }
    if only(headers, header::HOST).is_none() {
        return Err(Refusal::Malformed("one Host must be named"));
    }
    if !has_token(headers, header::CONNECTION, "upgrade")
        || !has_token(headers, header::UPGRADE, "websocket")
    {
        return Err(Refusal::Malformed(
            "this path speaks WebSocket: Connection: upgrade and Upgrade: websocket are missing",
        ));
    }
    if only(headers, header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err(Refusal::Version);
    }
    let key = only(headers, header::SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes);
    match key.filter(|key| is_key(key)) {
        Some(key) => Ok(derive_accept_key(key)),
        None => Err(Refusal::Malformed(
            "one Sec-WebSocket-Key of 16 bytes in base64 must be there",
        )),
    }
}

/// The header's value, if it stands there once.
fn only(headers: &HeaderMap, name: header::HeaderName) -> Option<&HeaderValue> {
    let mut values = headers.get_all(name).into_iter();
    values.next().filter(|_| values.next().is_none())
}

/// Whether this is base64 of 16 bytes: 22 characters, of which the last holds two bits,
/// and two for padding.
fn is_key(key: &[u8]) -> bool {
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/".contains(byte);
    let Some((text, b"==")) = key.split_last_chunk() else {
        return false;
    };
    text.len() == 22 && text.iter().all(is_base64) && b"AQgw".contains(&text[21])
}

fn tokens(headers: &HeaderMap, name: header::HeaderName) -> impl Iterator<Item = &str> {
    let values = headers
        .get_all(name)
        .into_iter()
        .filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

fn has_token(headers: &HeaderMap, name: header::HeaderName, wanted: &str) -> bool {
    tokens(headers, name).any(|token| token.eq_ignore_ascii_case(wanted))
}

/// The first sub-protocol in the client's order that we speak. With none the session
/// is opened and closed with a code, which a browser can see; a refusal it cannot.
fn chosen(headers: &HeaderMap) -> Option<Encoding> {
    tokens(headers, header::SEC_WEBSOCKET_PROTOCOL).find_map(Encoding::from_protocol)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

    fn headers(list: &[(&'static str, &'static str)]) -> HeaderMap {
        list.iter()
            .map(|(name, value)| ((*name).parse().unwrap(), HeaderValue::from_static(value)))
            .collect()
    }

    fn handshake() -> axum::http::Request<()> {
        let mut request = axum::http::Request::new(());
        *request.headers_mut() = headers(&[
            ("host", "edge.example.org"),
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", KEY),
        ]);
        request
    }

    #[test]
    fn the_key_of_the_rfc_is_answered_as_there() {
        assert_eq!(
            accept_key(&handshake()).unwrap(),
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
    }

    #[test]
    fn a_key_is_sixteen_bytes_of_base64() {
        assert!(is_key(KEY.as_bytes()) && is_key(b"AAAAAAAAAAAAAAAAAAAAAA=="));
        for key in [
            "",
            "==",
            "dGhlIHNhbXBsZSBub25jZQ",
            "dGhlIHNhbXBsZSBub25jZR==",
            "dGhlIHNhbXBsZSBub25j",
            "dGhlIHNhbXBsZSBub25jZQAA",
            "dGhlIHNhbXBsZSBub25jZQAAAA==",
            "dGhlIHNhbXBsZSBu 25jZQ==",
            "dGhlIHNhbXBsZSBu_25jZQ==",
        ] {
            assert!(!is_key(key.as_bytes()), "{key}");
        }
    }

    #[test]
    fn the_first_protocol_that_we_speak_is_chosen() {
        let list = headers(&[(
            "sec-websocket-protocol",
            "other, eddyline.v1.msgpack,eddyline.v1.json",
        )]);
        assert_eq!(chosen(&list), Some(Encoding::Msgpack));
        assert_eq!(chosen(&HeaderMap::new()), None);
    }
}
