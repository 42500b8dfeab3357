//! `GET /v1/history/{channel}`: a page of stored events, for whoever has no session.
//!
//! Owns nothing across requests; a page names the next one.

use std::num::NonZeroU32;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::Response;
use protocol::frame::{Encoding, ErrorBody, History, Outcome};

use super::answer;
use super::look::{Look, Named};
use super::query::{CONDITIONS, Query};
use crate::core::admission::allowance::Allowance;
use crate::core::session::pages;
use crate::node::Node;

/// Requests for pages that are under way on a node; many wait for their turn. Policy: the
/// next one is refused with `unavailable`.
pub const REQUESTS_MAX: usize = 128;

/// Answers `GET /v1/history/{channel}`.
pub async fn history(
    State(node): State<Arc<Node>>,
    channel: Named,
    request: Request,
) -> Response<Body> {
    let page = page(&node, channel, request).await;
    page.map_or_else(answer::refused, answer::one)
}

async fn page(node: &Node, channel: Named, request: Request) -> Result<Outcome, ErrorBody> {
    let mut look = Look::of(node, &node.pages, channel, &request)?;
    let asked = asked(look.channel, &mut look.query)?;
    look.query.end()?;
    let rules = node.hub.rules();
    let asked = pages::history(&rules, &look.identity, asked)?;
    Allowance::request(rules.accounts, &look.identity, rules.limits, rules.now)
        .operation(rules.now)?;
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
        headers: query.read("headers", CONDITIONS)?.unwrap_or_default(),
    })
}
