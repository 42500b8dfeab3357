//! An event that passed every check, ready to be stored. Plain data.

use bytes::Bytes;
use protocol::frame::StoredIn;
use protocol::header::Headers;
use protocol::lane::Lane;
use protocol::name::{Channel, Tenant};
use protocol::position::Epoch;
use protocol::stream::StreamName;
use protocol::subject::Subject;

impl Draft {
    /// Bytes that it has in the store, its name aside.
    pub fn bytes(&self) -> usize {
        self.payload.len() + self.headers.bytes()
    }
}

/// An event that passed every check.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// Whose it is.
    pub tenant: Tenant,
    /// The channel.
    pub channel: Channel,
    /// The writer's counter.
    pub n: u64,
    /// The event's id.
    pub id: String,
    /// Where it is stored.
    pub subject: Subject,
    /// Its headers.
    pub headers: Headers,
    /// Its data.
    pub payload: Bytes,
    /// The stream that stores it.
    pub stream: StreamName,
    /// Its lane.
    pub lane: Lane,
    /// Which kind of stream that is.
    pub stored_in: StoredIn,
    /// The stream's epoch.
    pub epoch: Epoch,
    /// On a resend: when it was sent first, microseconds since 1970.
    pub first_sent: Option<u64>,
    /// The channel's last sequence, without which it is not stored.
    pub expected_seq: Option<u64>,
}
