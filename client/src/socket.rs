//! One WebSocket connection to one node, up to the reply to `connect`.
//!
//! Owns the socket: the reading half is polled by the actor, the writing half
//! belongs to a task with a short queue, so that reading never waits for writing.
//! Must not know events or subscriptions.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::SplitStream;
use futures_util::{SinkExt, StreamExt};
use protocol::error_code::ErrorCode;
use protocol::frame::{
    Action, Command, Connect, Connected, Encoding, FromServer, Resume, decode_from_server, encode,
};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::http::header::SEC_WEBSOCKET_PROTOCOL;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::address::Address;
use super::connection::{self, Connection, Inside};
use super::error::ClientError;
use super::options::ClientOptions;

/// Longest time for the TCP connection, TLS, the upgrade and the reply to `connect`.
const OPEN_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest message read, in bytes: a node's outbox of 1 MiB with room to spare.
const MESSAGE_BYTES_MAX: usize = 16 << 20;
/// Messages that wait for the network. Few: what waits longer is kept as events,
/// which survive the connection.
const WRITES: usize = 4;

/// The id of `connect`. Those of what a ticket brings back follow it.
pub(super) const CONNECT: u64 = 0;

type Stream = WebSocketStream<Connection>;

/// An open session.
pub(super) struct Socket {
    pub incoming: SplitStream<Stream>,
    pub outgoing: mpsc::Sender<Message>,
    writer: JoinHandle<()>,
}

impl Drop for Socket {
    fn drop(&mut self) {
        // The connection closes when both halves are gone.
        self.writer.abort();
    }
}

impl Socket {
    /// Connects to `address` and authenticates, by a ticket if there is one that the node
    /// takes. Not cancel safe for the caller's
    /// bookkeeping, but dropping it leaves nothing behind.
    ///
    /// # Errors
    /// Unreachable, silent, refused or closed; [`ClientError::temporary`] tells.
    pub async fn open(
        address: &str,
        client: &str,
        options: &ClientOptions,
        resume: Option<Resume>,
    ) -> Result<(Self, Connected), ClientError> {
        let exchange = Self::open_unbounded(address, client, options, resume);
        let outcome = tokio::time::timeout(OPEN_TIMEOUT, exchange).await;
        outcome.unwrap_or_else(|_| {
            Err(ClientError::Silent {
                address: address.to_owned(),
                seconds: OPEN_TIMEOUT.as_secs(),
            })
        })
    }

    async fn open_unbounded(
        address: &str,
        client: &str,
        options: &ClientOptions,
        resume: Option<Resume>,
    ) -> Result<(Self, Connected), ClientError> {
        let unreachable = |source: tungstenite::Error| ClientError::Unreachable {
            address: address.to_owned(),
            source: Arc::new(source),
        };
        let encoding = options.encoding;
        let place = Address::parse(address)?;
        let mut request = (place.url.as_str())
            .into_client_request()
            .map_err(unreachable)?;
        let protocol = HeaderValue::from_static(encoding.protocol());
        request
            .headers_mut()
            .insert(SEC_WEBSOCKET_PROTOCOL, protocol);
        let config = WebSocketConfig::default()
            .max_message_size(Some(MESSAGE_BYTES_MAX))
            .max_frame_size(Some(MESSAGE_BYTES_MAX));
        let connection = connection::open(&place, options.roots.as_deref(), Inside::Http1).await;
        let connection = connection.map_err(|error| error.at(&place))?;
        let (mut stream, _) = client_async_with_config(request, connection, Some(config))
            .await
            .map_err(unreachable)?;
        if let Some(resume) = resume {
            let connect = Connect {
                resume: Some(resume),
                ..Connect::new("", client)
            };
            greet(&mut stream, encoding, connect)
                .await
                .map_err(unreachable)?;
            match greeting(&mut stream, encoding).await {
                // The session waits for something better.
                Err(ClientError::Refused(error)) if error.code == ErrorCode::BadTicket => {}
                greeted => return Ok((Self::split(stream), greeted?)),
            }
        }
        let connect = Connect::new(options.token.expose(), client);
        greet(&mut stream, encoding, connect)
            .await
            .map_err(unreachable)?;
        let connected = greeting(&mut stream, encoding).await?;
        Ok((Self::split(stream), connected))
    }

    fn split(stream: Stream) -> Self {
        let (mut sink, incoming) = stream.split();
        let (outgoing, mut writes) = mpsc::channel(WRITES);
        let writer = tokio::spawn(async move {
            while let Some(message) = writes.recv().await {
                let last = matches!(message, Message::Close(_));
                // A failure shows at the reading half, which decides.
                if sink.send(message).await.is_err() || last {
                    break;
                }
            }
        });
        Self {
            incoming,
            outgoing,
            writer,
        }
    }
}

/// Sends `connect`, with the id that no other command has.
async fn greet(
    stream: &mut Stream,
    encoding: Encoding,
    connect: Connect,
) -> Result<(), tungstenite::Error> {
    let command = Command::new(CONNECT, Action::Connect(connect));
    stream
        .send(message(encoding, encode(encoding, &command)))
        .await
}

/// Waits for the reply to `connect`.
async fn greeting(stream: &mut Stream, encoding: Encoding) -> Result<Connected, ClientError> {
    while let Some(message) = stream.next().await {
        let Ok(message) = message else { break };
        for frame in read(encoding, message)? {
            match (frame.connect, frame.error) {
                (Some(connected), _) => return Ok(*connected),
                (None, Some(error)) => return Err(ClientError::Refused(error)),
                (None, None) => {}
            }
        }
    }
    Err(ClientError::Lost)
}

/// The frames of one message; an error if the node closes, or cannot be read.
pub(super) fn read(encoding: Encoding, message: Message) -> Result<Vec<FromServer>, ClientError> {
    let bytes = match message {
        message @ (Message::Text(_) | Message::Binary(_)) => message.into_data(),
        Message::Close(Some(frame)) => {
            return Err(ClientError::Closed {
                code: frame.code.into(),
                reason: frame.reason.as_str().to_owned(),
            });
        }
        Message::Close(None) => return Err(ClientError::Lost),
        Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => return Ok(Vec::new()),
    };
    match decode_from_server(encoding, &bytes) {
        (frames, None) => Ok(frames),
        (_, Some(error)) => Err(ClientError::Protocol(error.to_string())),
    }
}

/// Encoded frames as a message of the sub-protocol's kind.
pub(super) fn message(encoding: Encoding, frames: Bytes) -> Message {
    match encoding {
        Encoding::Json => {
            Message::Text(Utf8Bytes::try_from(frames).expect("JSON is written as UTF-8"))
        }
        Encoding::Msgpack => Message::Binary(frames),
    }
}
