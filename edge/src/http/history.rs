//! `GET /v1/history/{channel}`: a page of stored events, for whoever has no session.
//!
//! Owns nothing across requests; a page names the next one.

use std::num::NonZeroU32;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::Response;
use protocol::error_code::ErrorCode;
use protocol::frame::{Encoding, ErrorBody, History, Outcome};

use super::answer;
use super::query::Query;
use crate::core::admission::allowance::Allowance;
use crate::core::metrics;
use crate::core::session::commands;
use crate::node::Node;

/// Requests for pages that are under way on a node; many wait for their turn. Policy: the
/// next one is refused with `unavailable`.
pub const REQUESTS_MAX: usize = 128;

/// Answers `GET /v1/history/{channel}`.
pub async fn history(
    State(node): State<Arc<Node>>,
    channel: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response<Body> {
    match page(&node, channel, request).await {
        Ok(outcome) => answer::one(outcome),
        Err(error) => {
            metrics::refused(error.code);
            answer::refused(error)
        }
    }
}

async fn page(
    node: &Node,
    channel: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Outcome, ErrorBody> {
    let refuse = |code, message: &str| Err(ErrorBody::new(code, message));
    if node.shutdown.is_triggered() || !node.hub.namespaces.is_loaded() {
        return refuse(ErrorCode::Unavailable, "the node does not serve now");
    }
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
    let asked = asked(channel, &mut query)?;
    query.end()?;
    let rules = node.hub.rules();
    let asked = commands::history(&rules, &identity, asked)?;
    Allowance::request(rules.accounts, &identity, rules.limits, rules.now).operation(rules.now)?;
    let page = node.hub.histories.read(&asked, Encoding::Json).await?;
    Ok(Outcome::History(Box::new(page)))
}

/// What a query asks of a channel.
///
/// # Errors
/// A value is not what its key takes.
pub fn asked(channel: String, query: &mut Query) -> Result<History, ErrorBody> {
    let marks = "earliest, latest, a sequence, EPOCH:SEQUENCE or @ with microseconds since 1970";
    Ok(History {
        channel,
        from: query.read("from", marks)?,
        backwards: query.read("backwards", "true or false")?.unwrap_or(false),
        limit: query.read::<NonZeroU32>("limit", "a number from 1 on")?,
    })
}
