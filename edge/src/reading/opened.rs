//! A request's session: the core's own, subscribed to all that is wanted, so that what
//! is wrong with any of it is the answer's status.
//!
//! Owns the session and where its client stands. Ends both when it is dropped.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use protocol::close_code::CloseCode;
use protocol::error_code::ErrorCode;
use protocol::frame::{Encoding, ErrorBody, Subscribed};
use rand::Rng;
use serde_json::{Value, json};
use service::shutdown::Shutdown;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout};

use super::frame::Frame;
use super::places::Places;
use super::wanted::Wanted;
use crate::core::metrics::{self, meters};
use crate::core::port::Port;
use crate::core::run::Form;
use crate::core::session::conduct::{Session, Signal};
use crate::node::Node;

/// How long all subscriptions may take to stand: each has its own limits, and all are
/// made at once.
const OPEN_TIMEOUT: Duration = Duration::from_secs(20);
/// The command that connects; those that subscribe follow it.
const CONNECT: u64 = 1;

/// A session that stands.
pub struct Opened {
    session: Session,
    port: Arc<Port>,
    shutdown: Shutdown,
    draining: bool,
    /// Where the client stands, by what it was given.
    pub places: Places,
    /// What came while the subscriptions were made; bounded as the outbox is, since none
    /// of it counts as written.
    early: VecDeque<Bytes>,
    /// Taken from the outbox, and not yet written, bytes.
    taken: usize,
    _permit: OwnedSemaphorePermit,
}

/// What a client is told when its session ends before it has got anything.
pub fn refusal(code: CloseCode) -> ErrorBody {
    let (code, message) = match code {
        CloseCode::TokenExpired => (ErrorCode::TokenExpired, "the token has expired"),
        CloseCode::EpochChanged => (
            ErrorCode::PositionMismatch,
            "the store began another life: positions are void",
        ),
        _ => (ErrorCode::Unavailable, "the node does not serve now"),
    };
    ErrorBody::new(code, message)
}

impl Opened {
    /// Opens a session and subscribes to everything, or to nothing.
    ///
    /// # Errors
    /// The first refusal.
    pub async fn open(node: &Node, wanted: &Wanted) -> Result<Self, ErrorBody> {
        if node.shutdown.is_triggered() || !node.hub.namespaces.is_loaded() {
            return Err(refusal(CloseCode::Restart));
        }
        let Ok(permit) = node.sessions.clone().try_acquire_owned() else {
            metrics::turned_away("sessions");
            let message = "the node has as many sessions as it may";
            return Err(ErrorBody::new(ErrorCode::Unavailable, message));
        };
        let port = Arc::new(node.hub.port(Form::Apart));
        let mut opened = Self {
            session: Session::new(node.hub.clone(), port.clone(), Encoding::Json),
            port,
            shutdown: node.shutdown.clone(),
            draining: false,
            places: wanted.places.clone(),
            early: VecDeque::new(),
            taken: 0,
            _permit: permit,
        };
        if wanted.once {
            opened.session.hide();
        }
        meters().connections.increment(1.0);
        match timeout(OPEN_TIMEOUT, opened.begin(wanted)).await {
            Ok(begun) => begun.map(|()| opened),
            Err(_) => {
                let message = "the channels could not be opened in time";
                Err(ErrorBody::new(ErrorCode::Unavailable, message))
            }
        }
    }

    async fn begin(&mut self, wanted: &Wanted) -> Result<(), ErrorBody> {
        let client = format!("http-{:016x}", rand::rng().random::<u64>());
        let token = wanted.token.expose();
        let connect = json!({"id": CONNECT, "connect": {"token": token, "client": client}});
        self.command(&connect).await?;
        self.replied(1).await?;
        for (id, channel) in (CONNECT + 1..).zip(&wanted.channels) {
            let (from, headers) = (wanted.start(channel), &wanted.headers);
            let subscribe = json!({"channel": channel, "from": from, "headers": headers});
            let subscribe = json!({"id": id, "subscribe": subscribe});
            self.command(&subscribe).await?;
        }
        self.replied(wanted.channels.len()).await
    }

    async fn command(&mut self, command: &Value) -> Result<(), ErrorBody> {
        let signal = self.session.message(command.to_string().as_bytes()).await;
        // The reply says why; here only that nothing follows it.
        match signal {
            Some(Signal::Close(code)) => Err(self.why(code)),
            Some(Signal::Ping) | None => Ok(()),
        }
    }

    /// Waits for so many replies; the first refusal ends it.
    async fn replied(&mut self, mut open: usize) -> Result<(), ErrorBody> {
        loop {
            while let Some(payload) = self.fetch() {
                let frame = Frame::of(&payload).filter(|frame| frame.id.is_some());
                let Some(frame) = frame else {
                    self.early.push_back(payload);
                    continue;
                };
                if let Some(error) = error(&frame) {
                    return Err(error);
                }
                open = open.saturating_sub(1);
                // That channel's place is known from here on.
                if let Ok(reply) = serde_json::from_slice::<Subscribed>(&frame.body) {
                    self.places.set(&reply.channel, reply.epoch, reply.after);
                    self.early.push_back(payload);
                }
            }
            if open == 0 {
                return Ok(());
            }
            if let Some(Signal::Close(code)) = self.moved().await {
                return Err(self.why(code));
            }
            self.session.heard(Instant::now());
        }
    }

    /// Why a session closed that had not begun: as its last reply says, or by its code.
    fn why(&mut self, code: CloseCode) -> ErrorBody {
        let mut said = None;
        while let Some(payload) = self.fetch() {
            said = Frame::of(&payload).and_then(|frame| error(&frame)).or(said);
        }
        said.unwrap_or_else(|| refusal(code))
    }

    fn fetch(&mut self) -> Option<Bytes> {
        let mut payload = None;
        self.port.take(1, |frame| payload = Some(frame));
        self.taken += payload.as_ref().map_or(0, Bytes::len);
        payload
    }

    /// The next frame for the client, if there is one. [`Self::places`] is where it
    /// stands once it has it.
    pub fn next(&mut self) -> Option<Frame> {
        loop {
            let payload = match self.early.pop_front() {
                Some(payload) => payload,
                None => self.fetch()?,
            };
            // A session writes nothing else.
            let Some(frame) = Frame::of(&payload) else {
                continue;
            };
            if let Some(reach) = frame.reach() {
                self.places.reach(&reach.channel, reach.seq);
            }
            return Some(frame);
        }
    }

    /// What was taken so far has been written.
    pub fn written(&mut self) {
        self.port.written(std::mem::take(&mut self.taken));
    }

    /// The client shows that it is there.
    pub fn heard(&mut self) {
        self.session.heard(Instant::now());
    }

    /// Whether the node drains.
    pub fn is_draining(&self) -> bool {
        self.draining
    }

    /// Whether the node drains and the session has nothing left to do.
    pub fn is_drained(&self) -> bool {
        self.draining && self.session.is_drained()
    }

    /// Waits until something has come, or is due. Cancel safe: what ends the wait is
    /// done before anything else can be waited for.
    pub async fn moved(&mut self) -> Option<Signal> {
        let due = self.session.deadline();
        tokio::select! {
            () = self.shutdown.triggered(), if !self.draining => {
                self.draining = true;
                self.session.drain()
            }
            () = self.port.woken() => self.session.take_notes(),
            () = tokio::time::sleep_until(due) => self.session.tick(),
        }
    }
}

fn error(frame: &Frame) -> Option<ErrorBody> {
    let body = (frame.name == "error").then_some(&frame.body)?;
    serde_json::from_slice(body).ok()
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.session.end();
        meters().connections.decrement(1.0);
    }
}
