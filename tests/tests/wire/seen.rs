//! Which refusals and closes were seen, and a session that asserts each of them.

use std::collections::HashSet;
use std::net::SocketAddr;

use harness::RawSession;
use harness::raw::Received;
use protocol::close_code::CloseCode;
use protocol::error_code::ErrorCode;
use protocol::frame::{Action, Encoding, ErrorBody, FromServer, Ping};

/// Everything that was provoked.
#[derive(Debug, Default)]
pub struct Seen {
    /// Codes of refusals.
    pub errors: HashSet<ErrorCode>,
    /// Codes of closes.
    pub closes: HashSet<CloseCode>,
}

impl Seen {
    /// Asserts a refusal and all of its advice.
    pub fn refusal(&mut self, what: &str, error: Option<&ErrorBody>, code: ErrorCode) {
        let error = error.unwrap_or_else(|| panic!("{what}: not refused, {code:?} expected"));
        assert_eq!(error.code, code, "{what}: {}", error.message);
        // What a rate asks for depends on what was taken; the code's own is the least.
        let retry = match code {
            ErrorCode::RateLimited => error.retry_after_ms.min(code.retry_after_ms()),
            _ => error.retry_after_ms,
        };
        let advice = (error.temporary, retry);
        assert_eq!(advice, (code.temporary(), code.retry_after_ms()), "{what}");
        assert!(!error.message.is_empty(), "{what}: says nothing");
        self.errors.insert(code);
    }

    /// Asserts a close with its reason.
    pub fn close(&mut self, what: &str, end: &Received, code: CloseCode) {
        let expected = Received::Closed(code.number(), code.reason().to_owned());
        assert_eq!(*end, expected, "{what}");
        self.closes.insert(code);
    }
}

/// A connected session that is refused things.
pub struct Probe<'a> {
    /// The session.
    pub session: RawSession,
    /// How it writes.
    pub encoding: Encoding,
    /// What was seen so far.
    pub seen: &'a mut Seen,
}

impl<'a> Probe<'a> {
    /// Connects.
    pub async fn connect(
        address: SocketAddr,
        encoding: Encoding,
        token: &str,
        client: &str,
        seen: &'a mut Seen,
    ) -> Self {
        let mut session = RawSession::open(address, encoding, None)
            .await
            .expect("the node takes connections");
        session.connect(token, client).await.expect("a valid token");
        Self {
            session,
            encoding,
            seen,
        }
    }

    /// The reply to a command.
    pub async fn ask(&mut self, what: &str, action: Action) -> FromServer {
        let reply = self.session.ask(action).await;
        reply.unwrap_or_else(|error| panic!("{what} ({:?}): {error}", self.encoding))
    }

    /// A command that must be refused with this code, while the session goes on.
    pub async fn refused(&mut self, what: &str, action: Action, code: ErrorCode) {
        let reply = self.ask(what, action).await;
        self.seen.refusal(what, reply.error.as_ref(), code);
    }

    /// A command that must succeed.
    pub async fn accepted(&mut self, what: &str, action: Action) -> FromServer {
        let reply = self.ask(what, action).await;
        assert_eq!(reply.error, None, "{what}");
        reply
    }

    /// Any bytes that must be refused as `bad_frame`, while the session goes on.
    pub async fn unreadable(&mut self, what: &str, bytes: &[u8]) {
        self.session
            .send_bytes(bytes)
            .await
            .expect("the session is open");
        loop {
            match self.session.next().await {
                Received::Frame(frame) if frame.error.is_some() => {
                    return self
                        .seen
                        .refusal(what, frame.error.as_ref(), ErrorCode::BadFrame);
                }
                Received::Frame(_) => {}
                ended => panic!("{what}: {ended:?}"),
            }
        }
    }

    /// Whether the session still answers.
    pub async fn lives(&mut self) {
        let reply = self.accepted("ping", Action::Ping(Ping {})).await;
        assert!(reply.ping.is_some(), "{reply:?}");
    }
}
