//! A WebSocket session without any manners: sends what it is told, reads when it is
//! told. For tests of what a well-behaved client never does.
//!
//! Owns one connection. Records nothing.

use std::collections::VecDeque;
use std::net::SocketAddr;

use anyhow::{Context, bail};
use futures_util::{SinkExt, StreamExt};
use protocol::frame::{
    Action, Command, Connect, Connected, Encoding, FromServer, decode_from_server, encode,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::http::header::SEC_WEBSOCKET_PROTOCOL;

use crate::wait;

/// What came from the node.
#[derive(Debug, Clone, PartialEq)]
pub enum Received {
    /// A frame.
    Frame(Box<FromServer>),
    /// The node closed the session, with this code and reason.
    Closed(u16, String),
    /// The connection ended without a close frame.
    Lost,
}

/// A session that does what it is told.
#[derive(Debug)]
pub struct RawSession<S = TcpStream> {
    socket: WebSocketStream<S>,
    encoding: Encoding,
    next_id: u64,
    inbox: VecDeque<FromServer>,
}

impl RawSession {
    /// Opens a WebSocket; nothing is sent on it yet. `receive_bytes` makes the
    /// system's receive buffer small, so that not reading is noticed soon.
    ///
    /// # Errors
    /// The node cannot be reached or refuses the upgrade.
    pub async fn open(
        address: SocketAddr,
        encoding: Encoding,
        receive_bytes: Option<u32>,
    ) -> anyhow::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        if let Some(bytes) = receive_bytes {
            socket.set_recv_buffer_size(bytes)?;
        }
        let stream = socket.connect(address).await?;
        Self::over(stream, &address.to_string(), encoding).await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> RawSession<S> {
    /// Opens a WebSocket over a connection that stands, to a node of this name.
    ///
    /// # Errors
    /// The node refuses the upgrade.
    pub async fn over(stream: S, host: &str, encoding: Encoding) -> anyhow::Result<Self> {
        let mut request = format!("ws://{host}/v1/ws").into_client_request()?;
        let protocol = HeaderValue::from_static(encoding.protocol());
        request
            .headers_mut()
            .insert(SEC_WEBSOCKET_PROTOCOL, protocol);
        let opening = tokio_tungstenite::client_async(request, stream);
        let (socket, _) = wait::within("the node answers the upgrade", opening).await?;
        Ok(Self {
            socket,
            encoding,
            next_id: 1,
            inbox: VecDeque::new(),
        })
    }

    /// Authenticates.
    ///
    /// # Errors
    /// The node refuses; the error names the code.
    pub async fn connect(&mut self, token: &str, client: &str) -> anyhow::Result<Connected> {
        let connect = Connect::new(token, client);
        let reply = self.ask(Action::Connect(connect)).await?;
        match (reply.connect, reply.error) {
            (Some(connected), _) => Ok(*connected),
            (None, error) => bail!("refused: {error:?}"),
        }
    }

    /// Sends a command; returns its id.
    ///
    /// # Errors
    /// The connection is gone.
    pub async fn send(&mut self, action: Action) -> anyhow::Result<u64> {
        let id = self.next_id;
        self.next_id += 1;
        let frame = encode(self.encoding, &Command::new(id, action));
        self.send_bytes(&frame).await?;
        Ok(id)
    }

    /// Sends a WebSocket message with any content, as the encoding's kind of message.
    ///
    /// # Errors
    /// The connection is gone.
    pub async fn send_bytes(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let message = match self.encoding {
            Encoding::Json => Message::Text(std::str::from_utf8(bytes)?.into()),
            Encoding::Msgpack => Message::Binary(bytes.to_vec().into()),
        };
        self.send_message(message).await
    }

    /// Sends any WebSocket message.
    ///
    /// # Errors
    /// The connection is gone.
    pub async fn send_message(&mut self, message: Message) -> anyhow::Result<()> {
        self.socket
            .send(message)
            .await
            .context("the connection is gone")
    }

    /// Sends a command and waits for its reply; pushes that come before are kept for
    /// [`RawSession::next`].
    ///
    /// # Errors
    /// The session ends first.
    pub async fn ask(&mut self, action: Action) -> anyhow::Result<FromServer> {
        let id = self.send(action).await?;
        let mut before = VecDeque::new();
        let reply = loop {
            match self.next().await {
                Received::Frame(frame) if frame.id == Some(id) => break *frame,
                Received::Frame(frame) => before.push_back(*frame),
                ended => bail!("the session ended before its reply: {ended:?}"),
            }
        };
        before.append(&mut self.inbox);
        self.inbox = before;
        Ok(reply)
    }

    /// The next frame, or the end of the session.
    ///
    /// # Panics
    /// If nothing comes for [`wait::DEADLINE`], or the node sends something that is
    /// no frame.
    pub async fn next(&mut self) -> Received {
        loop {
            if let Some(frame) = self.inbox.pop_front() {
                return Received::Frame(Box::new(frame));
            }
            let message = wait::within("the node sends something", self.socket.next()).await;
            let bytes = match message {
                Some(Ok(Message::Text(text))) => text.as_bytes().to_vec(),
                Some(Ok(Message::Binary(bytes))) => bytes.to_vec(),
                Some(Ok(Message::Close(Some(close)))) => {
                    return Received::Closed(close.code.into(), close.reason.to_string());
                }
                Some(Ok(Message::Close(None))) | Some(Err(_)) | None => return Received::Lost,
                Some(Ok(_)) => continue,
            };
            let (frames, error) = decode_from_server(self.encoding, &bytes);
            assert!(error.is_none(), "the node sent what is no frame: {error:?}");
            self.inbox.extend(frames);
        }
    }

    /// Reads until the session ends, and tells how.
    pub async fn end(&mut self) -> Received {
        loop {
            match self.next().await {
                Received::Frame(_) => {}
                ended => return ended,
            }
        }
    }
}
