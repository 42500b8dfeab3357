//! What a subscription and a look need where a namespace tells who is on its channels.
//!
//! Pure: rules and a command in, plain data or a typed refusal out.

use auth::Identity;
use protocol::error_code::ErrorCode;
use protocol::frame::{AskPresence, ErrorBody, Member};
use protocol::name::Channel;
use protocol::spec::PresenceSpec;

use super::commands::{Rules, Who, readable};
use crate::core::directory::Place;
use crate::core::presence::look::AskedPresence;
use crate::core::presence::seat::Seating;

fn spec(channel: &Channel, place: &Place) -> Result<PresenceSpec, ErrorBody> {
    // On the channel of a writer is nobody but that writer.
    place
        .presence
        .filter(|_| !channel.is_reserved())
        .ok_or_else(|| {
            let namespace = channel.namespace();
            let message = format!("namespace {namespace} does not tell who is on its channels");
            ErrorBody::new(ErrorCode::PresenceOff, message)
        })
}

/// A session as a member, since `now_us`.
pub fn member(who: &Who, session: &str, now_us: u64) -> Member {
    Member {
        user: who.identity.user.as_str().into(),
        client: who.client.as_str().into(),
        session: session.into(),
        since: now_us,
    }
}

/// A subscription's seat; `None`: nobody is told of it.
///
/// # Errors
/// [`ErrorCode::PresenceOff`]: it wants to watch where nothing is told.
pub fn seating(
    channel: &Channel,
    place: &Place,
    watch: bool,
    member: impl FnOnce() -> Member,
) -> Result<Option<Box<Seating>>, ErrorBody> {
    match spec(channel, place) {
        Ok(spec) => Ok(Some(Box::new(Seating {
            member: member(),
            list_max: spec.list_max,
            watch,
        }))),
        Err(error) if watch => Err(error),
        Err(_) => Ok(None),
    }
}

/// Checks `presence`, which the scope to subscribe covers.
///
/// # Errors
/// [`ErrorCode::PresenceOff`]; those of a subscription.
pub fn ask(
    rules: &Rules<'_>,
    identity: &Identity,
    command: &AskPresence,
) -> Result<AskedPresence, ErrorBody> {
    let (channel, place) = readable(rules, identity, &command.channel, "see who is on")?;
    let spec = spec(&channel, &place)?;
    Ok(AskedPresence {
        tenant: identity.tenant.clone(),
        channel,
        list_max: spec.list_max,
        place,
        members: command.members,
    })
}
