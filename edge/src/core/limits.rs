//! What a client may do, every limit with its default.
//!
//! Owns nothing at run time. A limit that a client can meet is told to it in the
//! reply to `connect`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How often quiet channels are compared with the stream.
pub const PROBE_INTERVAL_DEFAULT: Duration = Duration::from_secs(2);
/// Longest data of one event, bytes: large enough for a snapshot of a document,
/// small enough that one event never fills a client's outbox.
pub const DATA_BYTES_DEFAULT: usize = 64 * 1024;
/// Longest WebSocket message, bytes: the longest data as base64 with every header.
pub const MESSAGE_BYTES_DEFAULT: usize = 128 * 1024;
/// Most channels of one session.
pub const SUBSCRIPTIONS_DEFAULT: usize = 128;
/// Most publishes of one session that wait for their ack: 5,000/s at 50 ms.
pub const PUBLISH_WINDOW_DEFAULT: u32 = 256;
/// Bytes that may wait for one client: two seconds of a fast channel on 4 Mbit/s.
pub const OUTBOX_BYTES_DEFAULT: usize = 1 << 20;
/// Sessions of one node: at 6 KiB each and a full outbox for one in ten, 1 GiB.
pub const CONNECTIONS_DEFAULT: usize = 10_000;
/// How long a client may take from the first byte to an accepted `connect`.
pub const HANDSHAKE_TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);
/// Below the 30 to 60 s after which load balancers drop idle connections.
pub const PING_INTERVAL_DEFAULT: Duration = Duration::from_secs(25);
/// Unreadable frames before a session is closed: a bug in a client shows after one.
pub const BAD_FRAMES_DEFAULT: u32 = 10;

/// What a client may do. Every limit is on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EdgeLimits {
    /// Longest WebSocket message from a client, bytes.
    pub message_bytes: usize,
    /// Longest data of one event, bytes.
    pub data_bytes: usize,
    /// Most channels of one session.
    pub subscriptions: usize,
    /// Most publishes of one session that wait for their ack.
    pub publish_window: u32,
    /// Bytes that may wait to be sent to one client.
    pub outbox_bytes: usize,
    /// Most sessions of this node.
    pub connections: usize,
    /// From the first byte to an accepted `connect`, milliseconds.
    pub handshake_timeout_ms: u64,
    /// Between two pings, milliseconds.
    pub ping_interval_ms: u64,
    /// Unreadable frames that a session may send.
    pub bad_frames_max: u32,
}

impl Default for EdgeLimits {
    fn default() -> Self {
        Self {
            message_bytes: MESSAGE_BYTES_DEFAULT,
            data_bytes: DATA_BYTES_DEFAULT,
            subscriptions: SUBSCRIPTIONS_DEFAULT,
            publish_window: PUBLISH_WINDOW_DEFAULT,
            outbox_bytes: OUTBOX_BYTES_DEFAULT,
            connections: CONNECTIONS_DEFAULT,
            handshake_timeout_ms: millis(HANDSHAKE_TIMEOUT_DEFAULT),
            ping_interval_ms: millis(PING_INTERVAL_DEFAULT),
            bad_frames_max: BAD_FRAMES_DEFAULT,
        }
    }
}

fn millis(duration: Duration) -> u64 {
    duration.as_millis() as u64
}

impl EdgeLimits {
    /// From the first byte to an accepted `connect`.
    pub fn handshake_timeout(&self) -> Duration {
        Duration::from_millis(self.handshake_timeout_ms)
    }

    /// Between two pings.
    pub fn ping_interval(&self) -> Duration {
        Duration::from_millis(self.ping_interval_ms)
    }
}
