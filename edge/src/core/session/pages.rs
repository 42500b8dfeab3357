//! What somebody must satisfy who reads what is stored: pages of history, an event's way.
//!
//! Pure: rules and a command in, plain data or a typed refusal out.

use auth::{Action, Identity};
use protocol::error_code::ErrorCode;
use protocol::frame::{End, ErrorBody, HISTORY_EVENTS_DEFAULT, HISTORY_EVENTS_MAX, History, Mark};
use protocol::name::Channel;

use super::commands::{Rules, filter, readable, refuse, unknown_namespace};
use crate::core::directory::Place;
use crate::core::history::Asked;

/// Checks `history`, which the scope to subscribe covers.
pub fn history(
    rules: &Rules<'_>,
    identity: &Identity,
    command: History,
) -> Result<Asked, ErrorBody> {
    let (channel, place) = readable(rules, identity, &command.channel, "read")?;
    let end = if command.backwards {
        End::Latest
    } else {
        End::Earliest
    };
    let limit = command.limit.map_or(HISTORY_EVENTS_DEFAULT, u32::from);
    Ok(Asked {
        tenant: identity.tenant.clone(),
        channel,
        place,
        from: command.from.unwrap_or(Mark::End(end)),
        backwards: command.backwards,
        limit: limit.min(HISTORY_EVENTS_MAX) as usize,
        filter: filter(command.headers)?,
    })
}

/// A channel whose events somebody may trace, and where it lives. No other scope covers
/// that, and none that of reserved channels.
pub fn traceable(
    rules: &Rules<'_>,
    identity: &Identity,
    text: &str,
) -> Result<(Channel, Place), ErrorBody> {
    let channel = match Channel::for_client(text) {
        Ok(channel) => channel,
        Err(error) => return refuse(ErrorCode::BadChannel, error.to_string()),
    };
    if !identity.scopes.allows(Action::Trace, &channel) {
        let message = format!("no scope allows to trace events of {channel}");
        return refuse(ErrorCode::Forbidden, message);
    }
    match rules.directory.place(&identity.tenant, &channel) {
        Some(place) => Ok((channel, place)),
        None => unknown_namespace(&channel),
    }
}
