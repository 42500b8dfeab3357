//! From an HTTP request to a WebSocket session, by hand, so that the session owns
//! the bare socket and can write payloads that all sessions share.
//!
//! Owns nothing; RFC 6455, section 4.2.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse;
use axum::{Extension, body::Body};
use hyper_util::rt::TokioIo;
use protocol::frame::Encoding;
use tokio::net::TcpStream;
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
    let accept = match accept_key(request.headers()) {
        Ok(accept) => accept,
        Err(problem) => return turned_away(StatusCode::BAD_REQUEST, "handshake", problem),
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
        let Ok(parts) = upgraded.downcast::<TokioIo<TcpStream>>() else {
            return metrics::turned_away("upgrade");
        };
        // Copied: even an empty rest would keep the HTTP buffer for the session's life.
        let rest = parts.read_buf.to_vec();
        drop(parts.read_buf);
        session::run(hub, shutdown, parts.io.into_inner(), rest, encoding).await;
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

fn turned_away(status: StatusCode, reason: &'static str, message: &'static str) -> Response<Body> {
    metrics::turned_away(reason);
    (status, message).into_response()
}

/// Checks the client's part of the handshake and answers its key.
fn accept_key(headers: &HeaderMap) -> Result<String, &'static str> {
    if !has_token(headers, header::CONNECTION, "upgrade")
        || !has_token(headers, header::UPGRADE, "websocket")
    {
        return Err(
            "this path speaks WebSocket: Connection: upgrade and Upgrade: websocket are missing",
        );
    }
    if headers
        .get(header::SEC_WEBSOCKET_VERSION)
        .is_none_or(|version| version != "13")
    {
        return Err("Sec-WebSocket-Version must be 13");
    }
    let key = headers
        .get(header::SEC_WEBSOCKET_KEY)
        .ok_or("Sec-WebSocket-Key is missing")?;
    Ok(derive_accept_key(key.as_bytes()))
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

    fn headers(list: &[(&'static str, &'static str)]) -> HeaderMap {
        list.iter()
            .map(|(name, value)| ((*name).parse().unwrap(), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn the_key_of_the_rfc_is_answered_as_there() {
        let mut list = headers(&[
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ]);
        assert_eq!(accept_key(&list).unwrap(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        list.remove("sec-websocket-version");
        assert!(accept_key(&list).is_err());
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
