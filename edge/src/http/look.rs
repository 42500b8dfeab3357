//! A request that looks at one channel, for whoever has no session: its place, whose it is,
//! and what it asks beside the channel.
//!
//! Owns the place for as long as the request lasts.

use auth::Identity;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request};
use protocol::error_code::ErrorCode;
use protocol::frame::ErrorBody;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::query::Query;
use crate::core::session::commands;
use crate::node::Node;

/// The channel that stands in a path.
pub type Named = Result<Path<String>, PathRejection>;

/// One request.
pub struct Look<'a> {
    /// Whose it is.
    pub identity: Identity,
    /// The token that it comes with.
    pub token: String,
    /// The channel, as it was written; or what else the path names.
    pub channel: String,
    /// What else is asked.
    pub query: Query,
    _place: SemaphorePermit<'a>,
}

impl<'a> Look<'a> {
    /// Lets a request in, to a place among these.
    ///
    /// # Errors
    /// The node does not serve, or has as many such requests as it may; the token is none;
    /// the path names no channel.
    pub fn of(
        node: &'a Node,
        places: &'a Semaphore,
        channel: Named,
        request: &Request,
    ) -> Result<Self, ErrorBody> {
        let refuse = |code, message: &str| Err(ErrorBody::new(code, message));
        if node.shutdown.is_triggered() || !node.hub.namespaces.is_loaded() {
            return refuse(ErrorCode::Unavailable, "the node does not serve now");
        }
        let Ok(place) = places.try_acquire() else {
            let message = "the node has as many requests under way as it may";
            return refuse(ErrorCode::Unavailable, message);
        };
        let mut query = Query::of(request.uri())?;
        let token = query.token(request.headers())?;
        let identity = commands::identity(&node.hub.rules(), &token)?;
        let Ok(Path(channel)) = channel else {
            return refuse(ErrorCode::BadChannel, "the path names no channel");
        };
        Ok(Self {
            identity,
            token,
            channel,
            query,
            _place: place,
        })
    }
}
