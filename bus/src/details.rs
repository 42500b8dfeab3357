//! A stream as its leader describes it: plain data, the same for every backend.

use std::time::Duration;

use protocol::bus::StreamState;
use serde_json::{Map, Value};

/// A stream's configuration and state.
#[derive(Debug, Clone)]
pub(crate) struct StreamDetails {
    /// The configuration, as JetStream's JSON.
    pub config: Map<String, Value>,
    /// The state.
    pub state: StreamState,
    /// The answering server's clock, microseconds since 1970.
    pub time_us: u64,
}

impl StreamDetails {
    /// How long messages are kept; zero: for ever.
    pub(crate) fn max_age(&self) -> Duration {
        self.state.max_age
    }
}
