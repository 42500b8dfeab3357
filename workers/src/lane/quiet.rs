//! A lane to which nothing comes: how its position follows the stream all the same.
//!
//! A checkpoint that retention has passed cannot tell whether what is gone held inputs of
//! the lane, and the next owner would have to say that it may have. So a lane that is
//! quiet moves its position on once what it has settled lies in the older half of what
//! the stream keeps: a few times in the whole age of the stream, and not oftener.
//!
//! Owns nothing. It must not know what is done with the position.

use bus::{Bus, BusError};

use super::kept::Kept;
use super::messages::Scope;
use crate::intake::settled;

/// Whether a lane that has settled everything up to here should look for a later position.
pub fn is_due(position: u64, kept: Kept) -> bool {
    kept.first > 1 && position < kept.first.midpoint(kept.last)
}

/// The last sequence of the lane's stream and its store time, 0 if it is gone, if none of those
/// behind `position` is an input of the lane. The stream's leader says so: what a copy
/// has not got yet must not be passed over.
///
/// # Errors
/// Those of the bus; nothing is known then. Cancel safe.
pub async fn end(bus: &Bus, scope: &Scope, position: u64) -> Result<Option<(u64, u64)>, BusError> {
    let stream = scope.stream();
    let Some(end) = settled(bus, &stream, &scope.filter(), position).await? else {
        return Ok(None);
    };
    // Gone already: then there is no time by which a later owner could know it again.
    let time_us = bus.get(&stream, end).await?.map_or(0, |end| end.time_us);
    // Asked again, because a leader that was deposed may have answered.
    bus.stream_state(&stream).await?;
    Ok(Some((end, time_us)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_moved_on_when_half_of_what_is_kept_came_after_it() {
        let kept = |first, last| Kept { first, last };
        assert!(!is_due(0, kept(0, 0)), "nothing is known");
        assert!(!is_due(5, kept(1, 1_000)), "nothing has gone yet");
        assert!(is_due(5, kept(2, 1_000)));
        assert!(!is_due(600, kept(2, 1_000)));
        assert!(!is_due(1_000, kept(500, 1_000)));
        assert!(is_due(1_000, kept(500, 1_600)));
        assert!(is_due(9, kept(11, 10)), "everything has gone");
        assert!(!is_due(10, kept(11, 10)));
    }
}
