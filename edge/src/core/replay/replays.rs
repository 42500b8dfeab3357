//! What all readers of history share: the bus, their turns, and how long they doubt.

use std::sync::Arc;
use std::time::Duration;

use bus::{Bus, BusError};
use protocol::bus::StreamState;
use protocol::error_code::ErrorCode;
use protocol::frame::ErrorBody;
use tokio::sync::Semaphore;

use crate::core::feed::relay::Feed;
use crate::core::leader;

/// Reads of history at a time. Policy: the next one waits. A reader whose client does not take its events gives its turn back.
pub const REPLAYS_MAX: usize = 64;

/// Reads history for every subscription of a node.
pub struct Replays {
    /// Where history is.
    pub(super) bus: Bus,
    /// Turns to read it.
    pub(super) turns: Semaphore,
    /// Wait before a leader that knows less than it should is asked again.
    doubt: Duration,
}

impl Replays {
    /// Nothing is being read yet. A leader that knows less than it should is asked
    /// again after `doubt`, [`DOUBTS`](leader::DOUBTS) times.
    pub fn new(bus: Bus, doubt: Duration) -> Arc<Self> {
        Arc::new(Self {
            bus,
            turns: Semaphore::new(REPLAYS_MAX),
            doubt,
        })
    }

    /// The stream's state, asked for again as long as it ends before `seq`: a leader
    /// that was cut off answers too, for a while. Ended, it is believed. Cancel safe.
    pub(super) async fn certain(
        &self,
        feed: &Feed,
        mut state: StreamState,
        seq: u64,
    ) -> Result<StreamState, ErrorBody> {
        for _ in 0..leader::DOUBTS {
            if seq <= state.last_seq.max(feed.position()) {
                break;
            }
            tokio::time::sleep(self.doubt).await;
            let asked = leader::state(&self.bus, &feed.source.stream, feed.position()).await;
            state = asked.map_err(|error| unavailable(&error))?;
        }
        Ok(state)
    }
}

/// What a client is told of a failure of the bus.
pub(super) fn unavailable(error: &BusError) -> ErrorBody {
    ErrorBody::new(ErrorCode::Unavailable, error.to_string())
}
