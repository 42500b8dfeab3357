//! `GET /v1/trace/{id}`: one event's way, for whoever has the scope to see it.
//!
//! Owns nothing across requests; the tracer keeps its own turns.

use std::sync::Arc;

use auth::Action;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::Response;
use protocol::error_code::ErrorCode;
use protocol::frame::ErrorBody;
use protocol::name::Channel;
use protocol::trace::Trace;
use serde::Serialize;
use trace::tracer::ID_BYTES_MAX;
use trace::{Asked, TraceError};

use super::answer;
use super::look::{Look, Named};
use crate::core::admission::allowance::Allowance;
use crate::core::leader::unavailable;
use crate::core::session::commands::Rules;
use crate::core::session::pages;
use crate::node::Node;

#[derive(Serialize)]
struct Traced {
    trace: Trace,
}

/// Requests for traces that are under way on a node; most wait for their turn, and they
/// may take longer than those for pages, whose places they leave alone. Policy: the next
/// one is refused with `unavailable`.
pub const REQUESTS_MAX: usize = 32;

/// Answers `GET /v1/trace/{id}`.
pub async fn way(State(node): State<Arc<Node>>, id: Named, request: Request) -> Response<Body> {
    match followed(&node, id, request).await {
        Ok(trace) => answer::ok(&Traced { trace }),
        Err(error) => answer::refused(error),
    }
}

async fn followed(node: &Node, id: Named, request: Request) -> Result<Trace, ErrorBody> {
    let mut look = Look::of(node, &node.traces, id, &request)?;
    let channel = look.query.one("channel")?;
    let seq = look.query.read("seq", "a sequence")?;
    let before = look.query.read("before", "a sequence")?;
    look.query.end()?;
    let rules = node.hub.rules();
    let (channel, id) = (channel.as_deref(), look.channel);
    let asked = Asked {
        seq,
        before,
        ..asked(&rules, &look.identity, channel, id)?
    };
    Allowance::request(rules.accounts, &look.identity, rules.limits, rules.now)
        .operation(rules.now)?;
    drop(rules);
    let scopes = &look.identity.scopes;
    let sees = |channel: &Channel| scopes.allows(Action::Trace, channel);
    let traced = node.tracer.trace(&asked, &look.token, &sees).await;
    traced.map_err(|error| match error {
        TraceError::Bus(error) => unavailable(&error),
        TraceError::Timeout => ErrorBody::new(ErrorCode::Unavailable, error.to_string()),
    })
}

/// What is asked of which event, once it may be.
fn asked(
    rules: &Rules<'_>,
    identity: &auth::Identity,
    channel: Option<&str>,
    id: String,
) -> Result<Asked, ErrorBody> {
    let Some(channel) = channel else {
        let message = "channel is missing: an id is found on its channel alone";
        return Err(ErrorBody::new(ErrorCode::BadFrame, message));
    };
    if id.len() > ID_BYTES_MAX {
        let message = format!("the id is over {ID_BYTES_MAX} bytes");
        return Err(ErrorBody::new(ErrorCode::BadFrame, message));
    }
    let (channel, place) = pages::traceable(rules, identity, channel)?;
    Ok(Asked {
        tenant: identity.tenant.clone(),
        channel,
        gated: place.gate.is_some(),
        store: place.store,
        epoch: place.epoch,
        lane: place.lane,
        id,
        seq: None,
        before: None,
    })
}
