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
/// How long a session may be without a token that counts: a client whose timers were
/// held back still comes in time, and nobody is served much longer than was granted.
pub const EXPIRY_GRACE_DEFAULT: Duration = Duration::from_secs(10);
/// Below the 30 to 60 s after which load balancers drop idle connections.
pub const PING_INTERVAL_DEFAULT: Duration = Duration::from_secs(25);
/// How long one WebSocket message may take to come: the longest one at 450 bytes/s, a
/// tenth of what the slowest mobile networks give.
pub const MESSAGE_TIMEOUT_DEFAULT: Duration = Duration::from_secs(300);
/// Unreadable frames before a session is closed: a bug in a client shows after one.
pub const BAD_FRAMES_DEFAULT: u32 = 10;

/// Commands a second of one connection: what one publisher reaches with its window at
/// 50 ms.
pub const CONNECTION_OPERATIONS_DEFAULT: u64 = 5_000;
/// Bytes a second that one connection publishes: 64 Mbit/s.
pub const CONNECTION_BYTES_DEFAULT: u64 = 8 << 20;
/// Commands a second of all connections of one user to a node: two busy publishers.
pub const USER_OPERATIONS_DEFAULT: u64 = 10_000;
/// Bytes a second that all connections of one user to a node publish.
pub const USER_BYTES_DEFAULT: u64 = 16 << 20;
/// Commands a second of all connections of one tenant to a node: more than one server
/// that syncs its disk stores, so that a tenant alone is not held up by it.
pub const TENANT_OPERATIONS_DEFAULT: u64 = 40_000;
/// Bytes a second that all connections of one tenant to a node publish.
pub const TENANT_BYTES_DEFAULT: u64 = 64 << 20;
/// Subscriptions a second that one session makes: all that it may have, twice at once
/// (channels that are opened and closed again), and that many every two seconds.
pub const SUBSCRIBES_DEFAULT: u64 = SUBSCRIPTIONS_DEFAULT as u64;
/// Sessions of one user on a node: tabs, devices and workers of one account.
pub const CONNECTIONS_PER_USER_DEFAULT: usize = 128;
/// Connections from one address: half of a node's, so that no address has all of it.
/// Behind a balancer that hides its clients' addresses it has to be all of them.
pub const CONNECTIONS_PER_ADDRESS_DEFAULT: usize = CONNECTIONS_DEFAULT / 2;
/// Bytes that may wait for all clients of a node, beyond a little for each: five hundred of
/// them may stand still with a full outbox, and it is a quarter of a small server's memory.
pub const OUTBOXES_BYTES_DEFAULT: usize = 512 << 20;

/// Connections that a node accepts in a second: a reconnect of all that it may have is
/// over in some seconds, and leaves it time for those that it has.
pub const ACCEPTS_DEFAULT: u64 = 2_000;

/// Sessions that a draining node closes in a second: all that it may have are gone in ten,
/// and who follows them is met by a fifth of what a node accepts.
pub const CLOSES_DEFAULT: u64 = 1_000;

/// How fast something may go on; two seconds of it are saved while nothing goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimits {
    /// Commands a second.
    pub operations_per_second: u64,
    /// Bytes a second of what is published, headers included.
    pub bytes_per_second: u64,
}

/// The outbox must take the longest event with room to spare, or it would pause at
/// each one.
const OUTBOX_EVENTS_MIN: usize = 4;
/// A message holds at least a command with its token.
const MESSAGE_BYTES_MIN: u64 = 1024;

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
    /// Bytes that may wait to be sent to all clients of this node, beyond 16 KiB of each.
    pub outboxes_bytes: usize,
    /// Most sessions of this node.
    pub connections: usize,
    /// From the first byte to an accepted `connect`, milliseconds.
    pub handshake_timeout_ms: u64,
    /// From the end of a session's token to its close, milliseconds.
    pub expiry_grace_ms: u64,
    /// Between two pings, milliseconds.
    pub ping_interval_ms: u64,
    /// From the first byte of a WebSocket message to its last, milliseconds.
    pub message_timeout_ms: u64,
    /// Unreadable frames that a session may send.
    pub bad_frames_max: u32,
    /// What one connection may do.
    pub connection: RateLimits,
    /// What all connections of one user to this node may do.
    pub user: RateLimits,
    /// What all connections of one tenant to this node may do.
    pub tenant: RateLimits,
    /// Subscriptions that one session may make in a second.
    pub subscribes_per_second: u64,
    /// Most sessions of one user on this node.
    pub connections_per_user: usize,
    /// Most connections from one address to this node.
    pub connections_per_address: usize,
    /// Connections that this node accepts in a second.
    pub accepts_per_second: u64,
    /// Sessions that this node closes in a second when it drains.
    pub closes_per_second: u64,
}

impl Default for EdgeLimits {
    fn default() -> Self {
        Self {
            message_bytes: MESSAGE_BYTES_DEFAULT,
            data_bytes: DATA_BYTES_DEFAULT,
            subscriptions: SUBSCRIPTIONS_DEFAULT,
            publish_window: PUBLISH_WINDOW_DEFAULT,
            outbox_bytes: OUTBOX_BYTES_DEFAULT,
            outboxes_bytes: OUTBOXES_BYTES_DEFAULT,
            connections: CONNECTIONS_DEFAULT,
            handshake_timeout_ms: millis(HANDSHAKE_TIMEOUT_DEFAULT),
            expiry_grace_ms: millis(EXPIRY_GRACE_DEFAULT),
            ping_interval_ms: millis(PING_INTERVAL_DEFAULT),
            message_timeout_ms: millis(MESSAGE_TIMEOUT_DEFAULT),
            bad_frames_max: BAD_FRAMES_DEFAULT,
            connection: RateLimits {
                operations_per_second: CONNECTION_OPERATIONS_DEFAULT,
                bytes_per_second: CONNECTION_BYTES_DEFAULT,
            },
            user: RateLimits {
                operations_per_second: USER_OPERATIONS_DEFAULT,
                bytes_per_second: USER_BYTES_DEFAULT,
            },
            tenant: RateLimits {
                operations_per_second: TENANT_OPERATIONS_DEFAULT,
                bytes_per_second: TENANT_BYTES_DEFAULT,
            },
            subscribes_per_second: SUBSCRIBES_DEFAULT,
            connections_per_user: CONNECTIONS_PER_USER_DEFAULT,
            connections_per_address: CONNECTIONS_PER_ADDRESS_DEFAULT,
            accepts_per_second: ACCEPTS_DEFAULT,
            closes_per_second: CLOSES_DEFAULT,
        }
    }
}

fn millis(duration: Duration) -> u64 {
    duration.as_millis() as u64
}

impl EdgeLimits {
    /// Each setting that has a least value: its name, what it is, and that.
    pub fn least(&self) -> Vec<(&'static str, u64, u64)> {
        let outbox_min = (OUTBOX_EVENTS_MIN * self.data_bytes) as u64;
        let mut least = vec![
            (
                "limits.message_bytes",
                self.message_bytes as u64,
                MESSAGE_BYTES_MIN,
            ),
            ("limits.outbox_bytes", self.outbox_bytes as u64, outbox_min),
        ];
        // What is no limit but an end of all service.
        let positive = [
            ("limits.data_bytes", self.data_bytes as u64),
            ("limits.subscriptions", self.subscriptions as u64),
            ("limits.publish_window", u64::from(self.publish_window)),
            ("limits.connections", self.connections as u64),
            (
                "limits.connections_per_user",
                self.connections_per_user as u64,
            ),
            (
                "limits.connections_per_address",
                self.connections_per_address as u64,
            ),
            ("limits.accepts_per_second", self.accepts_per_second),
            ("limits.closes_per_second", self.closes_per_second),
            ("limits.subscribes_per_second", self.subscribes_per_second),
            ("limits.handshake_timeout_ms", self.handshake_timeout_ms),
            ("limits.ping_interval_ms", self.ping_interval_ms),
            ("limits.message_timeout_ms", self.message_timeout_ms),
        ];
        let rates = [
            (
                "limits.connection.operations_per_second",
                self.connection.operations_per_second,
            ),
            (
                "limits.connection.bytes_per_second",
                self.connection.bytes_per_second,
            ),
            (
                "limits.user.operations_per_second",
                self.user.operations_per_second,
            ),
            ("limits.user.bytes_per_second", self.user.bytes_per_second),
            (
                "limits.tenant.operations_per_second",
                self.tenant.operations_per_second,
            ),
            (
                "limits.tenant.bytes_per_second",
                self.tenant.bytes_per_second,
            ),
        ];
        least.extend(
            positive
                .into_iter()
                .chain(rates)
                .map(|(name, value)| (name, value, 1)),
        );
        least
    }

    /// From the first byte to an accepted `connect`.
    pub fn handshake_timeout(&self) -> Duration {
        Duration::from_millis(self.handshake_timeout_ms)
    }

    /// From the end of a session's token to its close.
    pub fn expiry_grace(&self) -> Duration {
        Duration::from_millis(self.expiry_grace_ms)
    }

    /// From the first byte of a WebSocket message to its last.
    pub fn message_timeout(&self) -> Duration {
        Duration::from_millis(self.message_timeout_ms)
    }

    /// Between two pings.
    pub fn ping_interval(&self) -> Duration {
        Duration::from_millis(self.ping_interval_ms)
    }
}
