//! What strangers send, read as a node reads it and without one: for whoever tries the
//! readers with anything.
//!
//! Pure. Owns nothing, and is used by no node.

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, Uri, Version};
use protocol::disconnect::Whom;
use protocol::error_code::ErrorCode;
use protocol::frame::{ErrorBody, History, Publish, Start};
use protocol::name::ClientId;
use protocol::revocation::Revoked;

use crate::http::query::Query;
use crate::http::{body, head, history, manage};
use crate::reading::wanted::Wanted;
use crate::ws::upgrade;

pub use door::header as proxy_header;

fn unreadable<T>() -> Result<T, ErrorBody> {
    Err(ErrorBody::new(ErrorCode::BadFrame, "it is no query"))
}

fn query(text: &str) -> Result<Query, ErrorBody> {
    match format!("/v1/x?{text}").parse::<Uri>() {
        Ok(uri) => Query::of(&uri),
        Err(_) => unreadable(),
    }
}

/// An event of a request, and the writer in whose name it is published.
pub type Named = (ClientId, Publish);

/// The body of `POST /v1/publish`, with an `Idempotency-Key` or without: its events, and
/// whether they stand in a list.
///
/// # Errors
/// The whole request is refused.
pub fn published(
    bytes: &[u8],
    key: Option<&str>,
    events_max: usize,
) -> Result<(Vec<Result<Named, ErrorBody>>, bool), ErrorBody> {
    let key = key.map(|key| body::writer_of_key(key.as_bytes()));
    Ok(
        match body::read(bytes, key.transpose()?.as_ref(), events_max)? {
            body::Body::One(event) => (vec![event], false),
            body::Body::List(events) => (events, true),
        },
    )
}

/// The query of `GET /v1/history/{channel}`.
///
/// # Errors
/// It is refused.
pub fn page(channel: &str, text: &str) -> Result<History, ErrorBody> {
    let mut query = query(text)?;
    let asked = history::asked(channel.to_owned(), &mut query)?;
    query.end()?;
    Ok(asked)
}

/// The query of `GET /v1/sse` and `GET /v1/poll`, and the header `Last-Event-ID`: the
/// channels, each with where it starts.
///
/// # Errors
/// It is refused.
pub fn followed(text: &str, last: Option<&str>) -> Result<Vec<(String, Start)>, ErrorBody> {
    let mut query = query(text)?;
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer x"));
    let wanted = Wanted::of(&mut query, &headers, last.map(str::to_owned))?;
    query.end()?;
    let channels = wanted.channels.iter();
    Ok(channels
        .map(|channel| (channel.clone(), wanted.start(channel)))
        .collect())
}

/// The body of `POST /v1/disconnect`.
///
/// # Errors
/// It is refused.
pub fn disconnected(bytes: &[u8]) -> Result<Whom, ErrorBody> {
    manage::whom(manage::read(bytes)?)
}

/// The body of `POST /v1/revoke`: what, and for how long, milliseconds.
///
/// # Errors
/// It is refused.
pub fn revoked(bytes: &[u8]) -> Result<(Revoked, u128), ErrorBody> {
    let (revoked, lasts) = manage::revoked(manage::read(bytes)?)?;
    Ok((revoked, lasts.as_millis()))
}

/// The headers of a WebSocket's handshake, each `name: value`; what is no header is left
/// out. Answers what `Sec-WebSocket-Accept` says.
///
/// # Errors
/// Why it is no handshake, in words.
pub fn handshake<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Result<String, String> {
    let mut request = Request::new(());
    *request.version_mut() = Version::HTTP_11;
    let headers = request.headers_mut();
    for line in lines {
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let (Some(name), Some(value)) = (parts.next(), parts.next()) else {
            continue;
        };
        let value = HeaderValue::from_bytes(value.trim_ascii());
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), value) {
            headers.append(name, value);
        }
    }
    head::check(request.headers())?;
    upgrade::accept_key(&request).map_err(|refusal| format!("{refusal:?}"))
}
