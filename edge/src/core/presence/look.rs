//! One look at who is on a channel, for whoever asks once.
//!
//! Owns nothing. A channel that this node watches is answered from memory; any other is
//! read, in one request, in turns of tenants.

use std::sync::Arc;
use std::time::Duration;

use bus::BusError;
use protocol::error_code::ErrorCode;
use protocol::frame::{ErrorBody, Presence};
use protocol::name::{Channel, Tenant};
use protocol::presence::Part;
use protocol::subject::presence::parts_filter;
use std::sync::atomic::Ordering;
use tokio::time::timeout;

use super::presences::Presences;
use super::watch::of_entry;
use crate::core::directory::Place;
use crate::core::feed::relay::FeedKey;
use crate::core::leader::unavailable;
use presence::room::Room;
use presence::told::View;

/// How long a look may take, with the wait for its turn.
const LOOK_TIMEOUT: Duration = Duration::from_secs(10);

/// Who is asked about, and how. Plain data.
#[derive(Debug, Clone, PartialEq)]
pub struct AskedPresence {
    /// The tenant.
    pub tenant: Tenant,
    /// The channel.
    pub channel: Channel,
    /// Where it lives.
    pub place: Place,
    /// Up to how many members are named.
    pub list_max: u32,
    /// Whether they are wanted.
    pub members: bool,
}

/// Looks. Cancel safe.
///
/// # Errors
/// [`ErrorCode::Unavailable`].
pub(super) async fn look(
    presences: &Arc<Presences>,
    asked: &AskedPresence,
) -> Result<Presence, ErrorBody> {
    if !presences.loaded.load(Ordering::Acquire) {
        let message = "the node does not know yet who lives";
        return Err(ErrorBody::new(ErrorCode::Unavailable, message));
    }
    let view = match watched(presences, asked) {
        Some(view) => view,
        None => match timeout(LOOK_TIMEOUT, read(presences, asked)).await {
            Ok(read) => read.map_err(|error| unavailable(&error))?,
            Err(_) => {
                let message = "who is on the channel could not be read in time";
                return Err(ErrorBody::new(ErrorCode::Unavailable, message));
            }
        },
    };
    let mut presence = view.frame(asked.channel.as_str());
    presence.members = presence.members.filter(|_| asked.members);
    Ok(presence)
}

fn key(asked: &AskedPresence) -> FeedKey {
    FeedKey {
        tenant: asked.tenant.clone(),
        channel: asked.channel.clone(),
    }
}

/// What a watched channel's room knows, unless it has let go of names that are wanted.
fn watched(presences: &Presences, asked: &AskedPresence) -> Option<View> {
    let hall = presences.find(&key(asked))?;
    if !*hall.ready.borrow() {
        return None;
    }
    let view = hall.look(|inside| inside.room.view(&presences.living()));
    (view.members.is_some() || view.count > asked.list_max).then_some(view)
}

async fn read(presences: &Presences, asked: &AskedPresence) -> Result<View, BusError> {
    let _turn = presences.looks.take(&asked.tenant).await;
    let kv = presences.kv()?;
    let filter = parts_filter(&asked.place.store, &asked.tenant, &asked.channel);
    let entries = kv.latest(&filter).await?;
    let hall = presences.find(&key(asked));
    let own = hall.map_or_else(Part::nobody, |hall| {
        hall.look(|inside| inside.room.shown().clone())
    });
    let mut room = Room::look(asked.channel.as_str(), asked.list_max, own);
    room.read(entries.iter().filter_map(of_entry).collect());
    Ok(room.view(&presences.living()))
}
