//! WebSocket close codes, and whether a client should come back.
//!
//! 4000 to 4499: connect again and resume. 4500 to 4999: the same attempt will
//! end the same way. Codes below 4000 are those of RFC 6455, section 7.4.

/// Why the server closes a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloseCode {
    /// The client closed, or asked for it (1000).
    Normal,
    /// What came breaks the WebSocket protocol (1002).
    ProtocolError,
    /// A text message, or a close's reason, is not UTF-8 (1007).
    NotUtf8,
    /// A WebSocket message is longer than allowed (1009).
    TooLarge,
    /// The node is restarting (1012): connect to any node and resume.
    Restart,
    /// The client does not read fast enough; resume from the last event received.
    SlowConsumer,
    /// The token is past its time; connect with a new one.
    TokenExpired,
    /// Nothing came from the client for twice the ping interval.
    Idle,
    /// The store's epoch changed: positions are void, subscribe anew.
    EpochChanged,
    /// No `connect` within the time allowed.
    HandshakeTimeout,
    /// A WebSocket message took too long from its first byte to its last.
    MessageTimeout,
    /// The session, or every one of its user, was disconnected on request; it may come back.
    Disconnected,
    /// The user has as many sessions on this node as it may.
    TooManyConnections,
    /// Too many unreadable frames.
    BadFrames,
    /// The first command was not an acceptable `connect`.
    Unauthorized,
    /// No sub-protocol that the server speaks.
    UnknownProtocol,
    /// The token, its user or the session was revoked: not with this token again.
    Revoked,
}

impl CloseCode {
    /// Every code.
    pub const ALL: [Self; 17] = [
        Self::Normal,
        Self::ProtocolError,
        Self::NotUtf8,
        Self::TooLarge,
        Self::Restart,
        Self::SlowConsumer,
        Self::TokenExpired,
        Self::Idle,
        Self::EpochChanged,
        Self::HandshakeTimeout,
        Self::MessageTimeout,
        Self::Disconnected,
        Self::TooManyConnections,
        Self::BadFrames,
        Self::Unauthorized,
        Self::UnknownProtocol,
        Self::Revoked,
    ];

    /// The number on the wire.
    pub const fn number(self) -> u16 {
        match self {
            Self::Normal => 1000,
            Self::ProtocolError => 1002,
            Self::NotUtf8 => 1007,
            Self::TooLarge => 1009,
            Self::Restart => 1012,
            Self::SlowConsumer => 4000,
            Self::TokenExpired => 4001,
            Self::Idle => 4002,
            Self::EpochChanged => 4003,
            Self::HandshakeTimeout => 4004,
            Self::MessageTimeout => 4005,
            Self::Disconnected => 4006,
            Self::TooManyConnections => 4008,
            Self::BadFrames => 4500,
            Self::Unauthorized => 4501,
            Self::UnknownProtocol => 4502,
            Self::Revoked => 4503,
        }
    }

    /// The reason on the wire.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::ProtocolError => "protocol_error",
            Self::NotUtf8 => "not_utf8",
            Self::TooLarge => "message_too_large",
            Self::Restart => "restart",
            Self::SlowConsumer => "slow_consumer",
            Self::TokenExpired => "token_expired",
            Self::Idle => "idle",
            Self::EpochChanged => "epoch_changed",
            Self::HandshakeTimeout => "handshake_timeout",
            Self::MessageTimeout => "message_timeout",
            Self::Disconnected => "disconnected",
            Self::TooManyConnections => "too_many_connections",
            Self::BadFrames => "bad_frames",
            Self::Unauthorized => "unauthorized",
            Self::UnknownProtocol => "unknown_protocol",
            Self::Revoked => "revoked",
        }
    }

    /// Whether the client should connect again.
    pub const fn reconnect(self) -> bool {
        matches!(self.number(), 1012 | 4000..=4499)
    }
}
