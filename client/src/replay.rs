//! A typed client of the replay service.
//!
//! Owns one HTTP/2 connection, shared by clones. It turns responses back into events
//! and checks that they are whole; it does not reconnect by itself: go on with the
//! last [`ReplayItem::Token`].

mod way;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use protocol::header::Headers;
use protocol::name::{Channel, ChannelPattern, FunctionName};
use protocol::record::{MirrorGap, MirrorGapReason};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel as Connection;
use tonic::{Code, Request, Streaming};

use self::way::Way;
use crate::proto::read_request::{End, Start};
use crate::proto::replay_client::ReplayClient as Grpc;
use crate::proto::{
    Earliest, Gap, GapReason, Live, ReadRequest, ReadResponse, Snapshot, StreamKind,
};

/// Largest response, in bytes: one event of 1 MiB with its headers fits many times.
const RESPONSE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What is said of an address that is none.
const NO_ADDRESS: ReplayError = ReplayError::Argument { field: "address" };

/// What is read. All but events needs the scope `inputs`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ReplayKind {
    /// Stored events, as subscribers see them.
    Events,
    /// What was published into function namespaces, before the function.
    Ingress,
    /// What publishers were told of inputs that a gate did not pass on; the channels asked
    /// for are those of the inputs.
    Outcomes,
    /// What is kept of inputs that this function refused or failed on; the channels are
    /// those of the inputs.
    DeadLetters(FunctionName),
}

/// Where a read begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplayStart {
    /// The first event kept.
    Earliest,
    /// This sequence of the stream, inclusive.
    Sequence(u64),
    /// What was stored at this time or later, microseconds since 1970, cut to
    /// milliseconds.
    Time(u64),
    /// Behind the response that carried this token.
    Token(String),
}

/// Where a read ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReplayEnd {
    /// With what the stream held when the request came in.
    Snapshot,
    /// With this sequence, inclusive; no further than a snapshot.
    Sequence(u64),
    /// Never: it goes on with what is stored.
    Live,
}

/// What to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayRequest {
    /// Which stream.
    pub kind: ReplayKind,
    /// Which channels: the first token must be a namespace, wildcards may follow.
    pub channels: ChannelPattern,
    /// Also the channel that is the namespace's name and nothing more, which no pattern
    /// with a wildcard covers.
    pub whole_namespace: bool,
    /// From where.
    pub start: ReplayStart,
    /// To where.
    pub end: ReplayEnd,
}

impl ReplayRequest {
    /// Everything stored on these channels.
    pub fn events(channels: ChannelPattern) -> Self {
        Self {
            kind: ReplayKind::Events,
            channels,
            whole_namespace: false,
            start: ReplayStart::Earliest,
            end: ReplayEnd::Snapshot,
        }
    }

    /// Everything published on these channels of a function namespace.
    pub fn ingress(channels: ChannelPattern) -> Self {
        Self {
            kind: ReplayKind::Ingress,
            ..Self::events(channels)
        }
    }
}

/// An event of a replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayedEvent {
    /// Its sequence in the stream.
    pub seq: u64,
    /// When the stream stored it, microseconds since 1970; from Kafka, which keeps
    /// milliseconds, cut to those.
    pub time_us: u64,
    /// Its channel.
    pub channel: Channel,
    /// Its headers.
    pub headers: Headers,
    /// Its bytes.
    pub payload: Bytes,
    /// Its partition in Kafka; -1 if it came from JetStream.
    pub partition: i32,
    /// Its offset there; -1 if it came from JetStream.
    pub offset: i64,
}

/// What a replay gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplayItem {
    /// An event.
    Event(ReplayedEvent),
    /// Goes on behind everything given so far.
    Token(String),
    /// Events that cannot be given. Where Kafka's own retention took them, the range
    /// is the widest that it can be, and the reason is retention.
    Gap(MirrorGap),
    /// Everything stored so far has been given; what follows is live.
    CaughtUp,
    /// Everything up to the end that was asked for has been given; nothing follows.
    End,
}

/// Why a replay fails.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The address or the token cannot be sent.
    #[error("the {field} is not usable")]
    Argument {
        /// Which one.
        field: &'static str,
    },
    /// The service is out of reach; temporary.
    #[error("cannot connect to the replay service")]
    Connect(#[from] tonic::transport::Error),
    /// The service refuses, or ended the replay; UNAVAILABLE is temporary.
    #[error("the replay service says {code:?}: {message}", code = .0.code(), message = .0.message())]
    Status(#[from] tonic::Status),
    /// A response that does not fit together.
    #[error("a response of the replay service is malformed: {what}")]
    Malformed {
        /// Which part of it.
        what: &'static str,
    },
}

impl ReplayError {
    /// Whether the same may succeed later.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Connect(_) => true,
            Self::Status(status) => {
                matches!(status.code(), Code::Unavailable | Code::ResourceExhausted)
            }
            Self::Argument { .. } | Self::Malformed { .. } => false,
        }
    }
}

/// A connection to the replay service.
#[derive(Debug, Clone)]
pub struct ReplayClient {
    grpc: Grpc<Connection>,
    authorization: MetadataValue<Ascii>,
}

impl ReplayClient {
    /// Connects; `token` is the bearer token of every read.
    ///
    /// # Errors
    /// [`ReplayError::Connect`], [`ReplayError::Argument`].
    pub async fn connect(addr: SocketAddr, token: &str) -> Result<Self, ReplayError> {
        Self::open(&addr.to_string(), None, token).await
    }

    /// Connects; `address` is `host:port`, or a URL, with TLS where its scheme is `https`.
    /// `roots` is a PEM file with the authorities that are trusted instead of the
    /// machine's.
    ///
    /// # Errors
    /// [`ReplayError::Connect`], [`ReplayError::Argument`].
    pub async fn open(
        address: &str,
        roots: Option<&Path>,
        token: &str,
    ) -> Result<Self, ReplayError> {
        let way = Way::to(address, roots).ok_or(NO_ADDRESS)?;
        let endpoint = way.endpoint().ok_or(NO_ADDRESS)?;
        let connection = endpoint.connect_with_connector(way.connector()).await?;
        Self::over(connection, token)
    }

    /// As [`Self::open`], but connects when it is first used, and again whenever it has
    /// to. Needs a runtime.
    ///
    /// # Errors
    /// [`ReplayError::Argument`].
    pub fn lazy(address: &str, roots: Option<&Path>, token: &str) -> Result<Self, ReplayError> {
        let way = Way::to(address, roots).ok_or(NO_ADDRESS)?;
        let endpoint = way.endpoint().ok_or(NO_ADDRESS)?;
        let connection = endpoint.connect_with_connector_lazy(way.connector());
        Self::over(connection, token)
    }

    /// The same connection for the bearer of another token.
    ///
    /// # Errors
    /// [`ReplayError::Argument`].
    pub fn with_token(&self, token: &str) -> Result<Self, ReplayError> {
        Ok(Self {
            grpc: self.grpc.clone(),
            authorization: bearer(token)?,
        })
    }

    fn over(connection: Connection, token: &str) -> Result<Self, ReplayError> {
        Ok(Self {
            grpc: Grpc::new(connection).max_decoding_message_size(RESPONSE_BYTES_MAX),
            authorization: bearer(token)?,
        })
    }

    /// Begins a read. Dropping the stream ends it.
    ///
    /// # Errors
    /// [`ReplayError::Status`] if the request is refused.
    pub async fn read(&self, request: ReplayRequest) -> Result<ReplayStream, ReplayError> {
        let ends = request.end != ReplayEnd::Live;
        let mut request = Request::new(encode(request));
        request
            .metadata_mut()
            .insert("authorization", self.authorization.clone());
        let responses = self.grpc.clone().read(request).await?.into_inner();
        Ok(ReplayStream {
            responses,
            ready: VecDeque::new(),
            ends,
            ended: false,
        })
    }
}

fn bearer(token: &str) -> Result<MetadataValue<Ascii>, ReplayError> {
    let text = format!("Bearer {token}").parse();
    text.map_err(|_| ReplayError::Argument { field: "token" })
}

fn encode(request: ReplayRequest) -> ReadRequest {
    let (kind, function) = match request.kind {
        ReplayKind::Events => (StreamKind::Events, String::new()),
        ReplayKind::Ingress => (StreamKind::Ingress, String::new()),
        ReplayKind::Outcomes => (StreamKind::Outcomes, String::new()),
        ReplayKind::DeadLetters(of) => (StreamKind::DeadLetters, of.as_str().into()),
    };
    ReadRequest {
        kind: kind as i32,
        function,
        whole_namespace: request.whole_namespace,
        channels: request.channels.as_str().into(),
        start: Some(match request.start {
            ReplayStart::Earliest => Start::Earliest(Earliest {}),
            ReplayStart::Sequence(seq) => Start::Sequence(seq),
            ReplayStart::Time(time_us) => Start::TimeUs(time_us),
            ReplayStart::Token(token) => Start::Token(token),
        }),
        end: Some(match request.end {
            ReplayEnd::Snapshot => End::Snapshot(Snapshot {}),
            ReplayEnd::Sequence(seq) => End::Last(seq),
            ReplayEnd::Live => End::Live(Live {}),
        }),
        ..ReadRequest::default()
    }
}

/// What a read gives, in order per channel. Ends after an error or after
/// [`ReplayItem::End`].
#[derive(Debug)]
pub struct ReplayStream {
    responses: Streaming<ReadResponse>,
    /// Items of one response, so bounded by what a response may hold.
    ready: VecDeque<ReplayItem>,
    ends: bool,
    ended: bool,
}

impl Stream for ReplayStream {
    type Item = Result<ReplayItem, ReplayError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Poll::Ready(Some(Ok(item)));
            }
            if self.ended {
                return Poll::Ready(None);
            }
            let decoded = match std::task::ready!(Pin::new(&mut self.responses).poll_next(cx)) {
                Some(Ok(response)) => {
                    self.ended = response.end;
                    decode(response)
                }
                Some(Err(status)) => Err(status.into()),
                None if self.ends => Err(ReplayError::Malformed {
                    what: "a read without its end",
                }),
                None => Err(ReplayError::Malformed {
                    what: "a live read that ends",
                }),
            };
            match decoded {
                Ok(items) => self.ready.extend(items),
                Err(error) => {
                    self.ended = true;
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
    }
}

fn decode(response: ReadResponse) -> Result<Vec<ReplayItem>, ReplayError> {
    let mut items = Vec::with_capacity(response.events.len() + 2);
    items.extend(response.gaps.iter().map(|gap| ReplayItem::Gap(gap_of(gap))));
    let mut payloads = response.payloads;
    for meta in response.events {
        let length = meta.payload_length as usize;
        if length > payloads.len() {
            return Err(ReplayError::Malformed { what: "payloads" });
        }
        let mut headers = Headers::new();
        for header in &meta.headers {
            headers.push_read(&header.name, &header.value);
        }
        items.push(ReplayItem::Event(ReplayedEvent {
            seq: meta.sequence,
            time_us: meta.time_us,
            channel: Channel::parse(&meta.channel)
                .map_err(|_| ReplayError::Malformed { what: "channel" })?,
            headers,
            payload: payloads.split_to(length),
            partition: meta.partition,
            offset: meta.offset,
        }));
    }
    if !payloads.is_empty() {
        return Err(ReplayError::Malformed { what: "payloads" });
    }
    items.extend(
        Some(response.token)
            .filter(|token| !token.is_empty())
            .map(ReplayItem::Token),
    );
    items.extend(response.caught_up.then_some(ReplayItem::CaughtUp));
    items.extend(response.end.then_some(ReplayItem::End));
    Ok(items)
}

fn gap_of(gap: &Gap) -> MirrorGap {
    let reason = match gap.reason() {
        GapReason::Hole => MirrorGapReason::Hole,
        GapReason::Topic => MirrorGapReason::Topic,
        GapReason::TooLarge => MirrorGapReason::TooLarge,
        GapReason::Unreadable => MirrorGapReason::Unreadable,
        GapReason::Retention | GapReason::KafkaRetention | GapReason::Unspecified => {
            MirrorGapReason::Retention
        }
    };
    MirrorGap {
        from: gap.from,
        to: gap.to,
        reason,
        topic: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{EventMeta, Header};

    fn meta(sequence: u64, payload_length: u32) -> EventMeta {
        let header = Header {
            name: "eddy-id".into(),
            value: "a".into(),
        };
        EventMeta {
            sequence,
            channel: "doc.1".into(),
            payload_length,
            headers: vec![header],
            ..EventMeta::default()
        }
    }

    #[test]
    fn payloads_are_dealt_out_by_length() {
        let response = ReadResponse {
            events: vec![meta(1, 2), meta(2, 0), meta(3, 1)],
            payloads: Bytes::from_static(b"abc"),
            token: "t".into(),
            end: true,
            ..ReadResponse::default()
        };
        let items = decode(response).unwrap();
        let payloads: Vec<_> = items
            .iter()
            .filter_map(|item| {
                if let ReplayItem::Event(event) = item {
                    Some(&event.payload[..])
                } else {
                    None
                }
            })
            .collect();
        assert_eq!(payloads, [&b"ab"[..], b"", b"c"]);
        assert_eq!(items[3..], [ReplayItem::Token("t".into()), ReplayItem::End]);
    }

    #[test]
    fn payloads_that_do_not_add_up_are_refused() {
        for payloads in ["ab", "abcd"] {
            let response = ReadResponse {
                events: vec![meta(1, 3)],
                payloads: Bytes::from_static(payloads.as_bytes()),
                ..ReadResponse::default()
            };
            assert!(matches!(
                decode(response),
                Err(ReplayError::Malformed { what: "payloads" })
            ));
        }
    }
}
