//! The task behind a client: owns the connection, the events without ack and the
//! subscriptions, and moves frames between them.
//!
//! Decisions are made in `outstanding` and `channel`; here is only what waits.
//! Every branch of the waits below is cancel safe: channels keep what was not
//! received, and a reserved place in the writer's queue holds no frame yet.

mod comeback;
mod frames;
mod grant;
mod passing;
mod subscriptions;
mod wake;

use std::collections::{HashMap, VecDeque};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use protocol::frame::{Action, Connected, FromServer, PublishReply};
use protocol::secret::Secret;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

use super::backoff::Backoff;
use super::channel::{Channel, State};
use super::error::{ClientError, reconnects};
use super::options::ClientOptions;
use super::outstanding::{Outstanding, Refusal};
use super::request::{Looker, PassWaiter, Reader, Request, Waiter};
use super::shared::Shared;
use super::socket::{self, Socket};
use super::ticket::Held;
use wake::{Wake, room};

/// Ping intervals without a byte after which the connection is taken for dead.
const SILENT_INTERVALS: u32 = 3;
/// What a node may say of its ping interval; beyond, it would be of no use, or no
/// time at all.
const PING_INTERVAL_MIN: Duration = Duration::from_millis(100);
const PING_INTERVAL_MAX: Duration = Duration::from_secs(3_600);
/// How long a node may take to close its side; then the end needs it no more.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(1);

/// What a command that waits for its reply was about.
enum Pending {
    Publish(u64),
    History(Reader),
    Presence(Looker),
    Credit,
    Ticket,
    PassOn(PassWaiter),
    Subscribe {
        channel: String,
        generation: u64,
    },
    Unsubscribe {
        channel: String,
        generation: u64,
    },
    Refresh {
        before: Secret,
        waiter: oneshot::Sender<Result<(), ClientError>>,
    },
}

/// Why a connection is no longer served.
enum Served {
    /// The client ends.
    Finished,
    /// It was lost, or closed by the node.
    Over(ClientError),
    /// A handle asked for another connection.
    Reset,
}

/// The task's state.
pub(super) struct Actor {
    options: ClientOptions,
    requests: mpsc::Receiver<Request>,
    shared: Arc<Shared>,
    state: watch::Sender<bool>,
    outstanding: Outstanding<Waiter>,
    channels: HashMap<String, Channel>,
    /// Commands without reply; bounded by the window and the subscriptions.
    pending: HashMap<u64, Pending>,
    /// Frames to send before any event; bounded by the subscriptions.
    control: VecDeque<Bytes>,
    wakes: FuturesUnordered<BoxFuture<'static, Wake>>,
    next_id: u64,
    next_generation: u64,
    window: usize,
    /// Ephemeral events without answer; bounded by half of the window.
    passing: usize,
    /// How it comes back.
    ticket: Held,
    silence: Duration,
    /// Which of the edge nodes is next.
    edge: usize,
    /// What a node that is going away asked us to wait.
    away: Option<Duration>,
    closing: Option<oneshot::Sender<()>>,
}

fn count(counter: &AtomicU64, by: usize) {
    counter.fetch_add(by as u64, Ordering::Relaxed);
}

impl Actor {
    pub fn new(
        options: ClientOptions,
        requests: mpsc::Receiver<Request>,
        shared: Arc<Shared>,
        state: watch::Sender<bool>,
    ) -> Self {
        Self {
            ticket: Held::new(options.tickets),
            options,
            requests,
            shared,
            state,
            outstanding: Outstanding::new(),
            channels: HashMap::new(),
            pending: HashMap::new(),
            control: VecDeque::new(),
            wakes: FuturesUnordered::new(),
            next_id: 1,
            next_generation: 1,
            window: 1,
            passing: 0,
            silence: PING_INTERVAL_MAX,
            edge: 0,
            away: None,
            closing: None,
        }
    }

    /// Runs until the client ends, then tells everybody who waits.
    pub async fn run(mut self, socket: Socket, connected: Connected) {
        let mut backoff = Backoff::default();
        let mut session = Some((socket, connected));
        let reason = loop {
            let open = match session.take() {
                Some(open) => open,
                None => match self.reopen(&mut backoff).await {
                    Ok(Some(open)) => open,
                    Ok(None) => break ClientError::Ended,
                    Err(error) => break error,
                },
            };
            self.resume(&open.1);
            match self.serve(open.0).await {
                Served::Finished => break ClientError::Ended,
                Served::Over(error) if !self.options.reconnect || !comes_back(&error) => {
                    break error;
                }
                Served::Over(_) | Served::Reset => self.lost(),
            }
        };
        self.connected(false);
        for waiter in self.outstanding.drain() {
            let _ = waiter.send(Err(reason.clone()));
        }
        for (_, channel) in self.channels.drain() {
            channel.finish(reason.clone());
        }
    }

    /// Connects again, however often that takes; `None` if the client ends meanwhile.
    async fn reopen(
        &mut self,
        backoff: &mut Backoff,
    ) -> Result<Option<(Socket, Connected)>, ClientError> {
        loop {
            let wait = self.away.take().unwrap_or_else(|| backoff.next());
            if self.attend(tokio::time::sleep(wait)).await.is_break() {
                return Ok(None);
            }
            self.edge = (self.edge + 1) % self.options.edges.len();
            let (options, shared) = (self.options.clone(), Arc::clone(&self.shared));
            let address = options.edges[self.edge].clone();
            let resume = self.ticket.resume(&self.channels);
            let opening = async move {
                Socket::open(&address, shared.client.as_str(), &options, resume).await
            };
            match self.attend(opening).await {
                ControlFlow::Break(()) => return Ok(None),
                ControlFlow::Continue(Ok(open)) => {
                    backoff.reset();
                    count(&self.shared.reconnects, 1);
                    return Ok(Some(open));
                }
                ControlFlow::Continue(Err(error)) if !comes_back(&error) => return Err(error),
                ControlFlow::Continue(Err(error)) => {
                    tracing::debug!(%error, "cannot connect yet");
                }
            }
        }
    }

    /// Waits for a future and takes in requests meanwhile; breaks if the client ends.
    async fn attend<F: Future>(&mut self, future: F) -> ControlFlow<(), F::Output> {
        tokio::pin!(future);
        loop {
            tokio::select! {
                output = &mut future => return ControlFlow::Continue(output),
                request = self.requests.recv(), if self.outstanding.has_room() => match request {
                    Some(Request::Reset) => {}
                    Some(request) => self.take(request),
                    None => return ControlFlow::Break(()),
                },
            }
            if self.is_done() {
                return ControlFlow::Break(());
            }
        }
    }

    /// A new connection stands: subscribe to everything from where it was left.
    fn resume(&mut self, connected: &Connected) {
        self.shared.connected(connected);
        self.window = (connected.publish_window as usize).max(1);
        let interval = Duration::from_millis(connected.ping_interval_ms);
        self.silence = interval.clamp(PING_INTERVAL_MIN, PING_INTERVAL_MAX) * SILENT_INTERVALS;
        let back = self.come_back(&connected.resumed);
        let names: Vec<String> = self.channels.keys().cloned().collect();
        for name in names.iter().filter(|name| !back.contains(*name)) {
            self.ask(name, State::Asked);
        }
        self.connected(true);
        self.want_ticket();
    }

    fn connected(&self, stands: bool) {
        self.state
            .send_if_modified(|state| std::mem::replace(state, stands) != stands);
    }

    /// The connection is gone, and with it everything that waited for a reply.
    fn lost(&mut self) {
        self.connected(false);
        // Whoever waits for the answer to an ephemeral event hears so by this.
        self.pending.clear();
        self.ticket.lost();
        self.passing = 0;
        self.control.clear();
        count(&self.shared.resends, self.outstanding.lost());
        for (name, channel) in &mut self.channels {
            match channel.state {
                State::Asked | State::Live => channel.state = State::Asked,
                State::Leaving => {
                    channel.state = State::Away;
                    let wake = room(name.clone(), channel, self.options.queue);
                    self.wakes.push(wake);
                }
                State::Away => {}
            }
        }
    }

    async fn serve(&mut self, mut socket: Socket) -> Served {
        let mut heard = Instant::now();
        // Once the writing half has failed, the reading half tells why.
        let mut writable = true;
        loop {
            if self.is_done() {
                self.say_goodbye(socket).await;
                return Served::Finished;
            }
            let now = Instant::now();
            let dead = heard + self.silence;
            let timer = self.outstanding.due(now).map_or(dead, |due| due.min(dead));
            tokio::select! {
                permit = socket.outgoing.reserve(), if writable && self.has_output(now) => match permit {
                    Ok(permit) => permit.send(self.gather(now)),
                    Err(_) => writable = false,
                },
                message = socket.incoming.next() => {
                    heard = Instant::now();
                    if let ControlFlow::Break(error) = self.receive(message) {
                        return Served::Over(error);
                    }
                }
                request = self.requests.recv(), if self.outstanding.has_room() => match request {
                    Some(Request::Reset) => return Served::Reset,
                    Some(request) => self.take(request),
                    None => return Served::Finished,
                },
                Some(wake) = self.wakes.next(), if !self.wakes.is_empty() => self.wake(wake),
                () = tokio::time::sleep_until(timer) => {
                    if Instant::now() >= dead {
                        return Served::Over(ClientError::Lost);
                    }
                }
            }
        }
    }

    fn is_connected(&self) -> bool {
        *self.state.borrow()
    }

    /// Events that may wait for their ack beside the ephemeral ones.
    fn durable_window(&self) -> usize {
        self.window.saturating_sub(self.passing).max(1)
    }

    fn is_done(&self) -> bool {
        self.closing.is_some() && self.outstanding.is_empty()
    }

    async fn say_goodbye(&mut self, mut socket: Socket) {
        let goodbye = async {
            if socket.outgoing.send(Message::Close(None)).await.is_ok() {
                // Until the node has closed its side too.
                while let Some(Ok(_)) = socket.incoming.next().await {}
            }
        };
        // A node that does not answer changes nothing about the end.
        let _ = tokio::time::timeout(GOODBYE_TIMEOUT, goodbye).await;
        if let Some(closing) = self.closing.take() {
            let _ = closing.send(());
        }
    }

    fn has_output(&self, now: Instant) -> bool {
        !self.control.is_empty() || self.outstanding.is_ready(self.durable_window(), now)
    }

    fn take(&mut self, request: Request) {
        match request {
            Request::Publish { n, draft, waiter } => {
                if let Err(waiter) = self.outstanding.insert(n, draft, waiter) {
                    let _ = waiter.send(Err(ClientError::InFlight { n }));
                }
            }
            Request::PassOn { n, draft, waiter } => self.pass_on(n, &draft, waiter),
            Request::Subscribe(wanted) => self.begin(*wanted),
            Request::Refresh(token, waiter) => self.refresh(token, waiter),
            Request::History(asked, reader) => {
                self.command(Action::History(*asked), Pending::History(reader));
            }
            Request::Presence(asked, looker) => {
                self.command(Action::Presence(asked), Pending::Presence(looker));
            }
            Request::Reset => {}
            Request::Close(done) => self.closing = Some(done),
        }
    }

    fn receive(
        &mut self,
        message: Option<Result<Message, tokio_tungstenite::tungstenite::Error>>,
    ) -> ControlFlow<ClientError> {
        let Some(Ok(message)) = message else {
            return ControlFlow::Break(ClientError::Lost);
        };
        let arrived = tokio::time::Instant::now();
        match socket::read(self.options.encoding, message) {
            Ok(frames) => {
                for frame in frames {
                    match frame.id {
                        Some(id) => self.reply(id, frame),
                        None => self.push(frame, arrived),
                    }
                }
                ControlFlow::Continue(())
            }
            Err(error) => ControlFlow::Break(error),
        }
    }

    fn reply(&mut self, id: u64, frame: FromServer) {
        let Some(pending) = self.pending.remove(&id) else {
            if let Some(error) = frame.error {
                tracing::warn!(message = %error.message, "the edge node could not read a frame");
            }
            return;
        };
        match pending {
            Pending::Publish(n) => self.settled(n, frame),
            Pending::History(reader) => paged(reader, frame),
            Pending::Presence(looker) => looked(looker, frame),
            Pending::Ticket => self.given(frame),
            Pending::Credit => {
                // The channel may have been left meanwhile; then nothing was granted.
                if let Some(error) = frame.error {
                    tracing::debug!(message = %error.message, "credit was not granted");
                }
            }
            Pending::PassOn(waiter) => self.passed_on(waiter, frame),
            Pending::Subscribe {
                channel,
                generation,
            } => self.answered(channel, generation, frame),
            Pending::Unsubscribe {
                channel,
                generation,
            } => self.left(channel, generation),
            Pending::Refresh { before, waiter } => self.refreshed(before, waiter, frame),
        }
    }

    /// The node answered an event. Whoever published it may have gone.
    fn settled(&mut self, n: u64, frame: FromServer) {
        match (frame.publish.and_then(PublishReply::stored), frame.error) {
            (Some(published), _) => {
                if let Some(waiter) = self.outstanding.acked(n) {
                    let _ = waiter.send(Ok(published));
                }
            }
            (None, Some(body)) => {
                if let Refusal::Final(waiter) = self.outstanding.refused(n, &body, Instant::now()) {
                    let _ = waiter.send(Err(ClientError::Refused(body)));
                }
            }
            (None, None) => {
                tracing::warn!(n, "the reply to an event is neither an ack nor an error");
            }
        }
    }
}

/// The node answered a page. Whoever asked may have gone.
fn paged(reader: Reader, frame: FromServer) {
    let _ = reader.send(match (frame.history, frame.error) {
        (Some(page), _) => Ok(*page),
        (None, Some(body)) => Err(ClientError::Refused(body)),
        (None, None) => Err(ClientError::Protocol("a reply without a body".into())),
    });
}

/// The node answered who is on a channel. Whoever looked may have gone.
fn looked(looker: Looker, frame: FromServer) {
    let _ = looker.send(match (frame.presence, frame.error) {
        (Some(presence), _) => Ok(presence),
        (None, Some(body)) => Err(ClientError::Refused(body)),
        (None, None) => Err(ClientError::Protocol("a reply without a body".into())),
    });
}

/// Whether another connection may help after this one ended so.
fn comes_back(error: &ClientError) -> bool {
    match error {
        ClientError::Closed { code, .. } => reconnects(*code),
        error => error.temporary(),
    }
}
