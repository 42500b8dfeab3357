//! `GET /v1/presence/{channel}`: who is on a channel, for whoever has no session.
//!
//! Owns nothing across requests.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::Response;
use protocol::error_code::ErrorCode;
use protocol::frame::{AskPresence, ErrorBody, Outcome};

use super::answer;
use super::query::Query;
use crate::core::admission::allowance::Allowance;
use crate::core::metrics;
use crate::core::session::{commands, presence as rule};
use crate::node::Node;

/// Answers `GET /v1/presence/{channel}`.
pub async fn presence(
    State(node): State<Arc<Node>>,
    channel: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response<Body> {
    match look(&node, channel, request).await {
        Ok(outcome) => answer::one(outcome),
        Err(error) => {
            metrics::refused(error.code);
            answer::refused(error)
        }
    }
}

async fn look(
    node: &Node,
    channel: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Outcome, ErrorBody> {
    let refuse = |code, message: &str| Err(ErrorBody::new(code, message));
    if node.shutdown.is_triggered() || !node.hub.namespaces.is_loaded() {
        return refuse(ErrorCode::Unavailable, "the node does not serve now");
    }
    // As many as read history, and among them: both are reads of the store.
    let Ok(_place) = node.pages.try_acquire() else {
        let message = "the node has as many requests under way as it may";
        return refuse(ErrorCode::Unavailable, message);
    };
    let mut query = Query::of(request.uri())?;
    let token = query.token(request.headers())?;
    let identity = commands::identity(&node.hub.rules(), &token)?;
    let Ok(Path(channel)) = channel else {
        return refuse(ErrorCode::BadChannel, "the path names no channel");
    };
    let members = query.read("members", "true or false")?.unwrap_or(true);
    query.end()?;
    let rules = node.hub.rules();
    let asked = rule::ask(&rules, &identity, &AskPresence { channel, members })?;
    Allowance::request(rules.accounts, &identity, rules.limits, rules.now).operation(rules.now)?;
    drop(rules);
    Ok(Outcome::Presence(node.hub.presence.look(&asked).await?))
}
