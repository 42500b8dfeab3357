//! Every reason for which a command is refused, with its advice.

use serde::{Deserialize, Serialize};

/// Why a command was refused. PROTOCOL.md lists each with what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The frame is not readable, or has no action or several.
    BadFrame,
    /// `connect` must come first.
    NotConnected,
    /// A second `connect`.
    AlreadyConnected,
    /// The token is malformed, not signed by our key, or lacks a claim.
    BadToken,
    /// The token is past its time.
    TokenExpired,
    /// The token, or every token of its user, was revoked.
    TokenRevoked,
    /// No scope of the token covers this action on this channel.
    Forbidden,
    /// The channel is not a valid name, or is reserved.
    BadChannel,
    /// The client is not a valid name.
    BadClient,
    /// No such namespace is configured.
    UnknownNamespace,
    /// The session receives this channel already.
    AlreadySubscribed,
    /// The session does not receive this channel.
    NotSubscribed,
    /// The subscription was ended before it stood.
    Cancelled,
    /// The session has as many subscriptions as it may.
    TooManySubscriptions,
    /// The position's epoch or time is not the stream's: it points at other events.
    PositionMismatch,
    /// The position is past the end of the stream.
    PositionAhead,
    /// The data is longer than allowed.
    DataTooLarge,
    /// The data does not fit its content type.
    BadData,
    /// A header is not valid.
    BadHeader,
    /// The id was used for another event.
    IdReused,
    /// The event may have been stored and forgotten since: the stream no longer
    /// keeps the time of the first attempt.
    OutcomeUnknown,
    /// The channel's last sequence is another than the publisher expects.
    SeqMismatch,
    /// An expected sequence, in a namespace whose events pass a gate before they have one.
    NotDirect,
    /// An earlier event of this writer on this channel was refused for now; it
    /// must be resent first, so that the order is kept.
    EarlierRefused,
    /// Too many publishes of this session wait for their ack.
    WindowExceeded,
    /// The connection, the user or the tenant does more in a second than it may.
    RateLimited,
    /// The user has as many sessions on this node as it may.
    TooManyConnections,
    /// Too many reads of this session are under way.
    TooManyReads,
    /// The store did not answer in time, or cannot be reached. The event may or
    /// may not be stored: resend it with the same `n` and `first_sent`.
    Unavailable,
    /// The stream is full.
    StoreFull,
    /// The tenant has as much of the store, or of the namespace, as it may.
    QuotaExceeded,
    /// The namespace does not allow events of this class, or its gate takes none.
    ClassRefused,
    /// The namespace has no presence.
    PresenceOff,
    /// As many channels are watched for presence on this node as may be.
    TooManyWatched,
    /// Credit of no event, of too many, or for a subscription without any.
    BadCredit,
    /// Conditions on headers that no event can meet, or too many.
    BadFilter,
    /// The ticket is nothing that this deployment has given to this writer, or it gives none.
    BadTicket,
    /// The session receives more than a ticket holds.
    TicketTooLong,
    /// The gate refused an ephemeral event.
    Rejected,
    /// The gate failed on an ephemeral event, and would again.
    GateFailed,
    /// The gate did not take an ephemeral event, or did not answer.
    GateUnavailable,
}

/// Wait before trying again when the store cannot be reached, in milliseconds:
/// about a leader election.
pub const RETRY_UNAVAILABLE_MS: u64 = 500;
/// Wait before trying again when the stream is full, in milliseconds.
pub const RETRY_FULL_MS: u64 = 5_000;
/// Wait before trying again when a tenant has stored as much as it may, in milliseconds: what
/// it has goes by retention, in hours or days.
pub const RETRY_QUOTA_MS: u64 = 60_000;
/// Wait before an ephemeral event goes to a gate again, in milliseconds, where the gate's
/// worker says nothing: about as long as a busy one needs for what waits there.
pub const RETRY_GATE_MS: u64 = 100;
/// Wait before trying again when only order or the window stands in the way.
pub const RETRY_SOON_MS: u64 = 20;

/// Wait before trying again when a user has too many sessions, in milliseconds: those of
/// a page that was closed have ended by then.
pub const RETRY_CONNECTIONS_MS: u64 = 5_000;

impl ErrorCode {
    /// Every code.
    pub const ALL: [Self; 41] = [
        Self::BadFrame,
        Self::NotConnected,
        Self::AlreadyConnected,
        Self::BadToken,
        Self::TokenExpired,
        Self::TokenRevoked,
        Self::Forbidden,
        Self::BadChannel,
        Self::BadClient,
        Self::UnknownNamespace,
        Self::AlreadySubscribed,
        Self::NotSubscribed,
        Self::Cancelled,
        Self::TooManySubscriptions,
        Self::PositionMismatch,
        Self::PositionAhead,
        Self::DataTooLarge,
        Self::BadData,
        Self::BadHeader,
        Self::IdReused,
        Self::OutcomeUnknown,
        Self::SeqMismatch,
        Self::NotDirect,
        Self::EarlierRefused,
        Self::WindowExceeded,
        Self::RateLimited,
        Self::TooManyConnections,
        Self::TooManyReads,
        Self::Unavailable,
        Self::StoreFull,
        Self::QuotaExceeded,
        Self::ClassRefused,
        Self::PresenceOff,
        Self::TooManyWatched,
        Self::BadCredit,
        Self::BadFilter,
        Self::BadTicket,
        Self::TicketTooLong,
        Self::Rejected,
        Self::GateFailed,
        Self::GateUnavailable,
    ];

    /// Whether the same command may succeed later.
    pub const fn temporary(self) -> bool {
        self.retry_after_ms().is_some()
    }

    /// How long to wait before the same command, in milliseconds.
    pub const fn retry_after_ms(self) -> Option<u64> {
        match self {
            Self::Unavailable => Some(RETRY_UNAVAILABLE_MS),
            Self::StoreFull => Some(RETRY_FULL_MS),
            Self::QuotaExceeded => Some(RETRY_QUOTA_MS),
            Self::GateUnavailable => Some(RETRY_GATE_MS),
            Self::EarlierRefused | Self::WindowExceeded | Self::TooManyReads => Some(RETRY_SOON_MS),
            Self::TooManyWatched => Some(RETRY_CONNECTIONS_MS),
            // The node says how long in its answer; this is the least.
            Self::RateLimited => Some(RETRY_SOON_MS),
            Self::TooManyConnections => Some(RETRY_CONNECTIONS_MS),
            _ => None,
        }
    }
}
