//! Reads what a channel, or a tenant, that waits has within a range.
//!
//! Owns nothing. It must not know why it waits.

use bus::{Bus, BusError};
use protocol::bus::Stored;
use protocol::subject::Subject;

use super::messages::Scope;
use super::state::{PARKED_READ_MAX, RUN_BYTES_MAX};

/// Reads one channel within a range, and says whether the range has no more of it
/// for certain: the server that answers may lag behind the stream's leader.
///
/// # Errors
/// Those of the bus. Cancel safe.
pub async fn read(
    bus: &Bus,
    scope: &Scope,
    subject: &Subject,
    from: u64,
    to: u64,
) -> Result<(Vec<Stored>, bool), BusError> {
    let chunk = bus
        .next_on(
            &scope.stream(),
            subject,
            from,
            PARKED_READ_MAX,
            RUN_BYTES_MAX,
        )
        .await?;
    let mut events = chunk.events;
    let read = events.len();
    events.retain(|event| event.seq <= to);
    if events.len() < read {
        return Ok((events, true));
    }
    if chunk.more {
        return Ok((events, false));
    }
    let known = events
        .last()
        .map_or(from.saturating_sub(1), |event| event.seq);
    // What this lane has read is known to the bus: a leader that has less is refused.
    // Asked before and after, because a deposed one may answer only one of them.
    bus.stream_state(&scope.stream()).await?;
    let last = bus
        .last_on(&scope.stream(), subject)
        .await?
        .map_or(0, |event| event.seq);
    bus.stream_state(&scope.stream()).await?;
    Ok((events, last <= known))
}
