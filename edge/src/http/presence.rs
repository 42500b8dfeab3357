//! `GET /v1/presence/{channel}`: who is on a channel, for whoever has no session.
//!
//! Owns nothing across requests.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::Response;
use protocol::frame::{AskPresence, ErrorBody, Outcome};

use super::answer;
use super::look::{Look, Named};
use crate::core::admission::allowance::Allowance;
use crate::core::session::presence::ask;
use crate::node::Node;

/// Answers `GET /v1/presence/{channel}`. Has its place among those that read history: both
/// are reads of the store.
pub async fn presence(
    State(node): State<Arc<Node>>,
    channel: Named,
    request: Request,
) -> Response<Body> {
    let present = present(&node, channel, request).await;
    present.map_or_else(answer::refused, answer::one)
}

async fn present(node: &Node, channel: Named, request: Request) -> Result<Outcome, ErrorBody> {
    let mut look = Look::of(node, &node.pages, channel, &request)?;
    let members = look.query.read("members", "true or false")?.unwrap_or(true);
    look.query.end()?;
    let rules = node.hub.rules();
    let channel = look.channel;
    let asked = ask(&rules, &look.identity, &AskPresence { channel, members })?;
    Allowance::request(rules.accounts, &look.identity, rules.limits, rules.now)
        .operation(rules.now)?;
    drop(rules);
    Ok(Outcome::Presence(node.hub.presence.look(&asked).await?))
}
