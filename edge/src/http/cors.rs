//! Cross-origin requests of browsers (Fetch standard, section 3.2). Owns nothing.
//!
//! Nothing here goes by cookies: a page of any origin can do no more than what the token
//! allows that it was given.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use axum::middleware::Next;

/// What requests from other origins may have beside what they always may.
const METHODS: &str = "GET, POST";
const HEADERS: &str = "authorization, content-type, idempotency-key, last-event-id";
/// What they may see of answers beside what they always may.
const EXPOSED: &str = "retry-after, www-authenticate";
/// How long a browser need not ask again, seconds: what the strictest take.
const MAX_AGE: &str = "7200";

/// Which origin is answered to one that asks; `None`: it is not allowed.
fn allowed(_origin: &HeaderValue) -> Option<HeaderValue> {
    Some(HeaderValue::from_static("*"))
}

/// Answers what a browser asks before a request, and lets it see answers.
pub async fn cors(request: Request, next: Next) -> Response<Body> {
    let origin = request.headers().get(header::ORIGIN);
    let Some(allowed) = origin.and_then(allowed) else {
        return next.run(request).await;
    };
    let asks = request.method() == Method::OPTIONS && has_asked(request.headers());
    let mut response = if asks {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        for (name, value) in [
            (header::ACCESS_CONTROL_ALLOW_METHODS, METHODS),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS),
            (header::ACCESS_CONTROL_MAX_AGE, MAX_AGE),
        ] {
            let value = HeaderValue::from_static(value);
            response.headers_mut().insert(name, value);
        }
        response
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
    let exposed = HeaderValue::from_static(EXPOSED);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    headers.append(header::VARY, HeaderValue::from_static("origin"));
    response
}

fn has_asked(headers: &HeaderMap) -> bool {
    headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}
