//! What a client is told: where to connect, as whom, and what to publish.
//! Plain values; they own nothing.

use std::collections::BTreeMap;
use std::path::PathBuf;

use bytes::Bytes;
use protocol::envelope::is_json;
use protocol::filter::HeaderFilter;
use protocol::frame::{Encoding, Ephemeral, Event};
use protocol::name::ClientId;
use protocol::secret::Secret;

/// Deliveries that may wait in one subscription: a few seconds of a lively
/// channel. When it is full the channel is left, and read again from the stream
/// once half is free.
pub const QUEUE_DELIVERIES: usize = 1024;

/// How to connect.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// Edge nodes, each `host:port`, `ws://host[:port][/path]` or, with TLS,
    /// `wss://host[:port][/path]`; tried in turn.
    pub edges: Vec<String>,
    /// A PEM file with the authorities that are trusted to vouch for nodes with TLS; the
    /// machine's own unless given.
    pub roots: Option<PathBuf>,
    /// The token.
    pub token: Secret,
    /// This writer's name; random unless given. Never shared by two writers.
    pub client: Option<ClientId>,
    /// The number of the first event; of use only with a `client` that has
    /// published before.
    pub first_n: u64,
    /// How frames are written.
    pub encoding: Encoding,
    /// Whether to connect again after the connection is lost.
    pub reconnect: bool,
    /// Deliveries that may wait in each subscription.
    pub queue: usize,
    /// Whether this writer's own ephemeral events come back to it.
    pub echo: bool,
    /// Whether it comes back to a node by a ticket, where the nodes give any: with who it is
    /// and all that it receives in one round trip.
    pub tickets: bool,
}

impl ClientOptions {
    /// A client of one node with everything else at its default.
    pub fn new(edge: impl Into<String>, token: impl Into<String>) -> Self {
        Self {
            edges: vec![edge.into()],
            roots: None,
            token: Secret::new(token),
            client: None,
            first_n: 1,
            encoding: Encoding::Json,
            reconnect: true,
            queue: QUEUE_DELIVERIES,
            echo: true,
            tickets: false,
        }
    }
}

/// What a subscription wants beside its channel's events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SubscribeOptions {
    /// Whether it is told who is on the channel, and who comes and goes.
    pub presence: bool,
    /// How many events the node may send before [`Subscription::grant`] lets it send more;
    /// all of them when `None`. What is not sent waits in the store. More than
    /// [`CREDIT_EVENTS_MAX`] is refused.
    ///
    /// [`Subscription::grant`]: super::Subscription::grant
    /// [`CREDIT_EVENTS_MAX`]: protocol::frame::CREDIT_EVENTS_MAX
    pub credit: Option<u64>,
    /// Which events it gets, by their headers; all of them when empty. The others are looked
    /// over by the node: what is yielded is complete all the same.
    pub headers: HeaderFilter,
}

/// An event to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The channel.
    pub channel: String,
    /// The data, byte for byte.
    pub data: Bytes,
    /// Its content type; JSON when `None`.
    pub content_type: Option<String>,
    /// The publisher's own headers.
    pub headers: BTreeMap<String, String>,
    /// Stored only if this is the channel's last sequence, 0 for a channel of which nothing
    /// is kept; otherwise refused with `seq_mismatch`.
    pub expected_seq: Option<u64>,
    /// A clock of the publisher, carried untouched.
    pub clock: Option<String>,
    /// Whether its gate tells, on this writer's outcome channel, that it has passed: an event
    /// whose data is an [`OutcomeEvent`](protocol::outcome::OutcomeEvent). Where there is no
    /// gate, the ack is all there is to tell.
    pub receipt: bool,
    /// Present when this very event was sent before.
    pub resend: Option<Resend>,
}

/// Which event a draft repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resend {
    /// Its number.
    pub n: u64,
    /// The server's time at its first attempt, microseconds since 1970.
    pub first_sent: u64,
}

impl Draft {
    /// A new event of JSON data.
    pub fn json(channel: impl Into<String>, data: impl Into<Bytes>) -> Self {
        Self {
            channel: channel.into(),
            data: data.into(),
            content_type: None,
            headers: BTreeMap::new(),
            expected_seq: None,
            clock: None,
            receipt: false,
            resend: None,
        }
    }

    /// A new event of other data.
    pub fn typed(
        channel: impl Into<String>,
        content_type: impl Into<String>,
        data: impl Into<Bytes>,
    ) -> Self {
        Self {
            content_type: Some(content_type.into()),
            ..Self::json(channel, data)
        }
    }

    pub(super) fn is_json(&self) -> bool {
        is_json(self.content_type.as_deref())
    }
}

/// The data of an ephemeral event, as [`data_of`].
pub fn data_of_ephemeral(event: &Ephemeral) -> Option<Bytes> {
    let is_json = is_json(event.content_type.as_deref());
    event.data.clone().into_bytes(is_json)
}

/// The data of an event, byte for byte; `None` if it does not fit its content type.
pub fn data_of(event: &Event) -> Option<Bytes> {
    event
        .data
        .clone()
        .into_bytes(is_json(event.content_type.as_deref()))
}
