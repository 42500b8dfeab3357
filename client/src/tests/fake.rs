//! A scripted edge node: accepts one session after the other and does what the test
//! says. Speaks JSON.

use std::collections::VecDeque;

use futures_util::{SinkExt, StreamExt};
use protocol::frame::{Action, Encoding, PROTOCOL_JSON, decode_commands};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};

use super::within;

pub struct FakeEdge(TcpListener);

pub struct Session {
    stream: WebSocketStream<TcpStream>,
    commands: VecDeque<(u64, Action)>,
}

impl FakeEdge {
    pub async fn start() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    pub fn address(&self) -> String {
        self.0.local_addr().unwrap().to_string()
    }

    /// Waits for a session and accepts its `connect`.
    pub async fn accept(&self) -> Session {
        self.accept_with("token").await
    }

    /// The same of a session with another token.
    pub async fn accept_with(&self, token: &str) -> Session {
        let (stream, _) = within(self.0.accept()).await.unwrap();
        #[allow(
            clippy::result_large_err,
            reason = "the handshake's callback has this type"
        )]
        let choose = |_: &Request, mut response: Response| {
            let protocol = HeaderValue::from_static(PROTOCOL_JSON);
            response
                .headers_mut()
                .insert("sec-websocket-protocol", protocol);
            Ok(response)
        };
        let stream = within(accept_hdr_async(stream, choose)).await.unwrap();
        let mut session = Session {
            stream,
            commands: VecDeque::new(),
        };
        let (id, action) = session.command().await;
        let Action::Connect(connect) = action else {
            panic!("not a connect: {action:?}");
        };
        assert_eq!(connect.token, token);
        let limits = json!({
            "message_bytes": 65536, "data_bytes": 65536, "subscriptions": 8, "outbox_bytes": 65536,
            "operations_per_second": 1000, "bytes_per_second": 65536, "subscribes_per_second": 8
        });
        let body = json!({
            "session": "s", "tenant": "t", "user": "u", "outcome_prefix": "_outcome.u.c",
            "time": 1_000_000, "expires_at": 9_000_000, "ping_interval_ms": 25_000, "publish_window": 2, "limits": limits
        });
        session.send(json!({"id": id, "connect": body})).await;
        session
    }
}

impl Session {
    /// The next command.
    pub async fn command(&mut self) -> (u64, Action) {
        loop {
            if let Some(command) = self.commands.pop_front() {
                return command;
            }
            let message = within(self.stream.next()).await.unwrap().unwrap();
            let message = message.into_data();
            let commands = decode_commands(Encoding::Json, &message);
            let actions = commands.map(|command| command.unwrap().into_action().unwrap());
            self.commands.extend(actions);
        }
    }

    pub async fn send(&mut self, frame: Value) {
        let message = Message::text(frame.to_string());
        within(self.stream.send(message)).await.unwrap();
    }

    pub async fn refuse(&mut self, id: u64, code: &str, retry_after_ms: Option<u64>) {
        let temporary = retry_after_ms.is_some();
        let body = json!({
            "code": code, "message": "no", "temporary": temporary, "retry_after_ms": retry_after_ms
        });
        self.send(json!({"id": id, "error": body})).await;
    }

    /// Closes the session with a code.
    pub async fn close(&mut self, code: u16) {
        let frame = CloseFrame {
            code: code.into(),
            reason: "test".into(),
        };
        within(self.stream.close(Some(frame))).await.unwrap();
    }

    /// Waits until the client has closed the session.
    pub async fn closed(&mut self) {
        while let Some(Ok(message)) = within(self.stream.next()).await {
            if message.is_close() {
                break;
            }
        }
    }
}
