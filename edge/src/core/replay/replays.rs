//! What all readers of history share: the bus, their turns, and how long they doubt.

use std::sync::Arc;
use std::time::Duration;

use bus::Bus;
use protocol::bus::StreamState;
use protocol::frame::ErrorBody;

use crate::core::feed::relay::Feed;
use crate::core::leader;
use shares::turns::Turns;

/// Reads of history at a time. Policy: the next one waits, and tenants have one turn after
/// the other. A reader whose client does not take its events gives its turn back, and so
/// does one that has read for a while when others wait.
pub const REPLAYS_MAX: usize = 64;
/// Those of one tenant: a quarter is left to the others, however much it reads.
const REPLAYS_EACH_MAX: usize = REPLAYS_MAX / 4 * 3;

/// Reads history for every subscription of a node.
pub struct Replays {
    /// Where history is.
    pub(super) bus: Bus,
    /// Turns to read it.
    pub(super) turns: Turns,
    /// Wait before a leader that knows less than it should is asked again.
    doubt: Duration,
}

impl Replays {
    /// Nothing is being read yet. A leader that knows less than it should is asked
    /// again after `doubt`, [`DOUBTS`](leader::DOUBTS) times.
    pub fn new(bus: Bus, doubt: Duration) -> Arc<Self> {
        Arc::new(Self {
            bus,
            turns: Turns::new(REPLAYS_MAX, REPLAYS_EACH_MAX),
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
            state = asked.map_err(|error| leader::unavailable(&error))?;
        }
        Ok(state)
    }
}
