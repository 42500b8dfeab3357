//! Why something did not work for a client. Owns no state; knows no wording but
//! its own.

use std::sync::Arc;

use protocol::close_code::CloseCode;
use protocol::frame::ErrorBody;
use tokio_tungstenite::tungstenite;

/// A failure of a client. Cheap to clone, because several waiters may be told the
/// same one.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ClientError {
    /// Not an address that a session can be opened to. Not temporary.
    #[error("{address:?} is not the address of an edge node (host:port, or ws:// or wss://)")]
    Address {
        /// The address.
        address: String,
    },
    /// Nobody answers there, or not as an edge node does; temporary.
    #[error("the edge node at {address} cannot be reached")]
    Unreachable {
        /// The address.
        address: String,
        /// What went wrong.
        source: Arc<tungstenite::Error>,
    },
    /// The authorities that are to vouch for nodes with TLS cannot be had. Not temporary.
    #[error("root certificates: {problem}")]
    Roots {
        /// What is wrong, and with which file.
        problem: String,
    },
    /// The node did not answer in time; temporary.
    #[error("the edge node at {address} did not answer within {seconds} s")]
    Silent {
        /// The address.
        address: String,
        /// How long it was waited for.
        seconds: u64,
    },
    /// The node refused a command; its body says whether that is temporary.
    #[error("the edge node refused: {}", .0.message)]
    Refused(ErrorBody),
    /// The node closed the session.
    #[error("the edge node closed the session: {reason} ({code})")]
    Closed {
        /// The close code.
        code: u16,
        /// The node's word for it.
        reason: String,
    },
    /// The connection ended without a word; temporary.
    #[error("the connection to the edge node was lost")]
    Lost,
    /// The node sent something that a client cannot read.
    #[error("the edge node does not keep to the protocol: {0}")]
    Protocol(String),
    /// The store was made anew: positions are void, subscribe from the start.
    #[error("channel {channel} has another epoch than before")]
    EpochChanged {
        /// The channel.
        channel: String,
    },
    /// The client already receives this channel.
    #[error("channel {channel} is already subscribed by this client")]
    AlreadySubscribed {
        /// The channel.
        channel: String,
    },
    /// An event with this number waits for its ack already.
    #[error("event {n} still waits for its ack")]
    InFlight {
        /// The event's number.
        n: u64,
    },
    /// The data is not JSON, but its content type says so.
    #[error("the data of the event is not valid json")]
    NotJson,
    /// The data is longer than the node takes. Sent, it could cost the whole session.
    #[error("the data has {bytes} bytes, the edge node takes {max} at most")]
    TooLarge {
        /// Its length.
        bytes: usize,
        /// The node's limit.
        max: usize,
    },
    /// The client was closed.
    #[error("the client has been closed")]
    Ended,
}

impl ClientError {
    /// Whether the same attempt may succeed later.
    pub fn temporary(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Silent { .. } | Self::Lost => true,
            Self::Refused(body) => body.temporary,
            Self::Closed { code, .. } => reconnects(*code),
            _ => false,
        }
    }
}

/// Whether a client should come back after this close code. Codes that are not
/// ours come from proxies and broken connections: coming back is right.
pub(super) fn reconnects(code: u16) -> bool {
    let known = CloseCode::ALL.iter().find(|known| known.number() == code);
    known.map_or(!(4500..5000).contains(&code), |known| known.reconnect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_codes_say_whether_to_come_back() {
        let check = |code, expected| assert_eq!(reconnects(code), expected, "{code}");
        check(1000, false);
        check(1006, true);
        check(1009, false);
        check(1012, true);
        check(4000, true);
        check(4499, true);
        check(4501, false);
        check(4999, false);
    }
}
