//! The head of a request: how long it may be, whatever the request is for.
//!
//! Owns nothing. The parser of HTTP refuses what is longer than it buffers by itself
//! and without a word; this limit is below that one, so that a refusal can say why.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, Response, StatusCode};
use axum::middleware::Next;
use axum::response::IntoResponse;

use crate::core::metrics;

/// Bytes of the names and values of a request's headers: browsers send all their
/// cookies along, up to some 8 KiB, beside a token of as much.
pub const HEADER_BYTES_MAX: usize = 16 * 1024;
/// Headers of a request. Browsers and proxies together send some 40.
pub const HEADERS_MAX: usize = 100;

/// Refuses requests with too long a head.
pub async fn bounded(request: Request, next: Next) -> Response<Body> {
    match check(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => {
            metrics::turned_away("headers");
            (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, problem).into_response()
        }
    }
}

/// Whether a head is short enough, or why not.
pub fn check(headers: &HeaderMap) -> Result<(), String> {
    let count = headers.len();
    if count > HEADERS_MAX {
        return Err(format!("{count} headers are more than {HEADERS_MAX}"));
    }
    let bytes: usize = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum();
    if bytes > HEADER_BYTES_MAX {
        return Err(format!(
            "the headers have {bytes} bytes, more than {HEADER_BYTES_MAX}"
        ));
    }
    Ok(())
}
