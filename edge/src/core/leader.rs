//! What a stream's leader says, held against what is known.
//!
//! A server that was cut off with a minority believes to lead for about ten more
//! seconds and answers from what it has; around the healing two may answer. So an
//! answer that is older than what is known is no answer: it is "not now", and asked
//! for again. Only a leader that keeps saying so for longer than a cut-off one can is
//! believed: then the stream has lost its newest events.

use std::time::Duration;

use bus::{Bus, BusError};
use protocol::bus::StreamState;
use protocol::error_code::ErrorCode;
use protocol::frame::ErrorBody;
use protocol::stream::StreamName;

use super::limits::PROBE_INTERVAL_DEFAULT;
use super::metrics::meters;

/// What a client is told where nothing is known now.
pub fn unavailable(error: &BusError) -> ErrorBody {
    ErrorBody::new(ErrorCode::Unavailable, error.to_string())
}

/// How often in a row, one probe's interval apart, a leader has to know less than it
/// should before it is believed.
pub const DOUBTS: u32 = 6;

/// How long a leader without a quorum goes on answering: nats-server looks for its
/// followers every second and gives up after ten (`lostQuorumInterval`).
const CUT_OFF_MAX: Duration = Duration::from_secs(10);
const _: () = assert!(
    PROBE_INTERVAL_DEFAULT.as_secs() * DOUBTS as u64 > CUT_OFF_MAX.as_secs(),
    "a cut-off leader must not be believed"
);

/// The stream's state, from a leader that has everything up to `known`.
///
/// # Errors
/// Those of the bus; [`BusError::NoStream`], which is temporary, when the leader that
/// answered does not have it. Cancel safe.
pub async fn state(bus: &Bus, stream: &StreamName, known: u64) -> Result<StreamState, BusError> {
    let state = bus.stream_state(stream).await?;
    if state.last_seq < known {
        meters().stale_answers.increment(1);
        return Err(BusError::NoStream);
    }
    Ok(state)
}
