//! `GET /v1/openapi.json`: what the routes take and answer, as OpenAPI 3.1 says it.
//!
//! Owns nothing; tests hold the document against the routes and against a running node.

use axum::http::header;
use axum::response::IntoResponse;

/// The document.
pub const DOCUMENT: &str = include_str!("openapi.json");

/// Answers `GET /v1/openapi.json`.
pub async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT)
}
