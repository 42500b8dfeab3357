//! Turns away what web pages ask that may not use the node. Owns nothing.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::Response;
use axum::middleware::Next;
use protocol::error_code::ErrorCode;
use protocol::frame::ErrorBody;

use super::answer;
use crate::core::metrics;
use crate::node::Node;

/// Where clients are; health is for whoever can reach it.
const CLIENTS: &str = "/v1/";

/// Turns away what comes from elsewhere, before anything else is looked at.
pub async fn check(State(node): State<Arc<Node>>, request: Request, next: Next) -> Response<Body> {
    if !request.uri().path().starts_with(CLIENTS) || node.origins.allows(request.headers()) {
        return next.run(request).await;
    }
    metrics::turned_away("origin");
    let message = "pages of this origin may not use this node";
    answer::refusal(ErrorBody::new(ErrorCode::Forbidden, message))
}
