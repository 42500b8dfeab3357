//! How far nothing more comes for certain.
//!
//! Owns nothing. It must not know who wants to know it.

use bus::{Bus, BusError};
use protocol::stream::StreamName;
use protocol::subject::Subject;

/// The last sequence of a stream, if none of those behind `position` is on the filter.
/// The stream's leader says so: what a copy has not got yet must not be passed over.
///
/// # Errors
/// Those of the bus; nothing is known then. Cancel safe.
pub async fn settled(
    bus: &Bus,
    stream: &StreamName,
    filter: &Subject,
    position: u64,
) -> Result<Option<u64>, BusError> {
    let end = bus.stream_state(stream).await?.last_seq;
    let last = bus.last_on(stream, filter).await?;
    // Asked before and after, because a leader that was deposed may answer only one of them.
    bus.stream_state(stream).await?;
    let none = last.is_none_or(|last| last.seq <= position);
    Ok((end > position && none).then_some(end))
}
