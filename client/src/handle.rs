//! The handle that callers hold. Owns the counter of events; the session belongs to
//! the actor.

use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll};
use std::time::{SystemTime, UNIX_EPOCH};

use protocol::frame::{
    AskPresence, Connected, History, HistoryPage, PassedOn, Presence, Published, Start, Subscribed,
};
use protocol::name::ClientId;
use protocol::secret::Secret;
use rand::Rng;
use serde_json::value::RawValue;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::AbortHandle;

use super::actor::Actor;
use super::error::ClientError;
use super::granter::Granter;
use super::options::{ClientOptions, Draft, SubscribeOptions};
use super::request::{Request, Wanted};
use super::shared::{ClientStats, Shared, lock};
use super::socket::Socket;
use super::subscription::Subscription;

/// Requests that wait for the actor; further callers wait.
const REQUESTS: usize = 64;

/// A session with the edge. Clones share it; it ends when the last one is dropped
/// (what has no ack by then is not resent) or after [`Client::close`].
#[derive(Debug, Clone)]
pub struct Client {
    requests: mpsc::Sender<Request>,
    shared: Arc<Shared>,
    next_n: Arc<Mutex<u64>>,
    queue: usize,
    connected: watch::Receiver<bool>,
    task: AbortHandle,
}

impl Client {
    /// Opens a session; must run inside a Tokio runtime. The first connection is
    /// tried once with each edge node; only later ones are retried.
    ///
    /// # Errors
    /// That of the last node: it cannot be reached, or refuses.
    pub async fn connect(options: ClientOptions) -> Result<Self, ClientError> {
        let client = options.client.clone().unwrap_or_else(random_client);
        let mut outcome = Err(ClientError::Address {
            address: String::new(),
        });
        for address in &options.edges {
            outcome = Socket::open(address, client.as_str(), &options, None).await;
            if outcome.is_ok() {
                break;
            }
        }
        let (socket, connected) = outcome?;
        let shared = Arc::new(Shared::new(client, &connected));
        let (requests, receiver) = mpsc::channel(REQUESTS);
        let (state, watch) = watch::channel(true);
        let (next_n, queue) = (options.first_n, options.queue.max(1));
        let actor = Actor::new(options, receiver, Arc::clone(&shared), state);
        let task = tokio::spawn(actor.run(socket, connected)).abort_handle();
        Ok(Self {
            requests,
            shared,
            next_n: Arc::new(Mutex::new(next_n)),
            queue,
            connected: watch,
            task,
        })
    }

    /// Publishes and waits for the ack, however often it has to be resent.
    ///
    /// # Errors
    /// A refusal that is not temporary, or the end of the client.
    pub async fn publish(&self, draft: Draft) -> Result<Published, ClientError> {
        self.publish_start(draft).await?.await
    }

    /// Hands an event over, waiting only for room; the ack comes later, in the
    /// returned future. Events go out in the order in which these calls return.
    /// Cancel safe: cancelled, the event was not handed over.
    ///
    /// # Errors
    /// The data is not what its content type says or longer than the node takes, or the
    /// client has ended.
    pub async fn publish_start(&self, draft: Draft) -> Result<Ack, ClientError> {
        let permit = self.place(&draft).await?;
        let (waiter, receiver) = oneshot::channel();
        // Numbering and sending happen under one lock: events leave in the order
        // of their numbers.
        let mut next_n = lock(&self.next_n);
        let n = match draft.resend {
            Some(resend) => resend.n,
            None => {
                *next_n += 1;
                *next_n - 1
            }
        };
        permit.send(Request::Publish { n, draft, waiter });
        drop(next_n);
        Ok(Ack { n, receiver })
    }

    /// Hands an ephemeral event over and waits until the node has passed it on: at most
    /// once, to whoever listens then. It is not kept, and not resent.
    ///
    /// # Errors
    /// The node refuses; there is no connection, or it was lost meanwhile and nobody knows
    /// what became of it; those of [`Self::publish_start`]. Cancel safe: cancelled, it may
    /// or may not have been passed on.
    pub async fn pass_on(&self, draft: Draft) -> Result<PassedOn, ClientError> {
        let permit = self.place(&draft).await?;
        let (waiter, answered) = oneshot::channel();
        {
            let mut next_n = lock(&self.next_n);
            let n = *next_n;
            *next_n += 1;
            permit.send(Request::PassOn { n, draft, waiter });
        }
        answered.await.unwrap_or(Err(ClientError::Lost))
    }

    /// A place for an event that the node can take.
    async fn place(&self, draft: &Draft) -> Result<mpsc::Permit<'_, Request>, ClientError> {
        if draft.is_json() && serde_json::from_slice::<&RawValue>(&draft.data).is_err() {
            return Err(ClientError::NotJson);
        }
        let (bytes, max) = (draft.data.len(), self.shared.data_bytes_max());
        if bytes > max {
            return Err(ClientError::TooLarge { bytes, max });
        }
        let permit = self.requests.reserve().await;
        permit.map_err(|_| ClientError::Ended)
    }

    /// Receives a channel from a place on. The answer has come when this returns.
    ///
    /// # Errors
    /// The node refuses, the channel is subscribed already, or the client has ended.
    pub async fn subscribe(
        &self,
        channel: &str,
        start: Start,
    ) -> Result<Subscription, ClientError> {
        self.subscribe_with(channel, start, SubscribeOptions::default())
            .await
    }

    /// Receives a channel, and who comes and goes there: the subscription also yields
    /// [`Delivery::Presence`](super::Delivery::Presence), first with everybody who is there.
    ///
    /// # Errors
    /// As [`Self::subscribe`]; the channel's namespace has no presence.
    pub async fn subscribe_watching(
        &self,
        channel: &str,
        start: Start,
    ) -> Result<Subscription, ClientError> {
        let options = SubscribeOptions {
            presence: true,
            ..SubscribeOptions::default()
        };
        self.subscribe_with(channel, start, options).await
    }

    /// Asks who is on a channel: `members`, or their count alone. Cancel safe.
    ///
    /// # Errors
    /// The node refuses, the connection was lost before it answered (temporary), or the
    /// client has ended.
    pub async fn presence(&self, channel: &str, members: bool) -> Result<Presence, ClientError> {
        let (looker, looked) = oneshot::channel();
        let asked = AskPresence {
            channel: channel.to_owned(),
            members,
        };
        self.request(Request::Presence(asked, looker)).await?;
        looked.await.map_err(|_| ClientError::Lost)?
    }

    /// Receives a channel as `options` say.
    ///
    /// # Errors
    /// As [`Self::subscribe`], and what of the options the node refuses.
    pub async fn subscribe_with(
        &self,
        channel: &str,
        start: Start,
        options: SubscribeOptions,
    ) -> Result<Subscription, ClientError> {
        let (sender, receiver) = mpsc::channel(self.queue);
        let granter = Granter::new(channel, options.credit.is_some());
        let (answer, answered) = oneshot::channel();
        let (alive, reader) = oneshot::channel();
        let end = Arc::new(OnceLock::new());
        let wanted = Wanted {
            channel: channel.to_owned(),
            start,
            options,
            granter: granter.clone(),
            sender,
            end: Arc::clone(&end),
            answer,
            alive: reader,
        };
        self.request(Request::Subscribe(Box::new(wanted))).await?;
        let subscribed: Subscribed = answered.await.map_err(|_| ClientError::Ended)??;
        Ok(Subscription {
            receiver,
            end,
            ended: false,
            subscribed,
            granter,
            _alive: alive,
        })
    }

    /// Goes on with another token of the same tenant and user, on this connection and on
    /// those to come. Before [`Connected::expires_at`] of [`Self::session`]: a client whose
    /// token has ended is not let in again. Returns once the node has taken it, or at once
    /// while there is no connection. Not cancel safe: the token is taken anyway.
    ///
    /// # Errors
    /// The node refuses the token, the connection is lost before it answers (the next one
    /// begins with the token all the same), or the client has ended.
    pub async fn refresh(&self, token: impl Into<String>) -> Result<(), ClientError> {
        let (waiter, answer) = oneshot::channel();
        self.request(Request::Refresh(Secret::new(token), waiter))
            .await?;
        answer.await.map_err(|_| ClientError::Lost)?
    }

    /// Reads a page of a channel's stored events. Where the next one starts is its
    /// `next`. Cancel safe.
    ///
    /// # Errors
    /// The node refuses, the connection was lost before it answered (temporary), or the
    /// client has ended.
    pub async fn history(&self, asked: History) -> Result<HistoryPage, ClientError> {
        let (answer, answered) = oneshot::channel();
        let request = Request::History(Box::new(asked), answer);
        self.request(request).await?;
        answered.await.map_err(|_| ClientError::Lost)?
    }

    /// Cuts the connection without a word and connects again, to the next node if
    /// there are several. For tests of resumption.
    ///
    /// # Errors
    /// The client has ended.
    pub async fn reset(&self) -> Result<(), ClientError> {
        self.request(Request::Reset).await
    }

    /// Waits for all acks, closes the session in order and ends the client.
    /// Subscriptions end without an error.
    pub async fn close(self) {
        let (done, closed) = oneshot::channel();
        if self.request(Request::Close(done)).await.is_ok() {
            // An error means that it has ended, which is what we wait for.
            let _ = closed.await;
        }
    }

    /// Cuts the connection and ends the client at once, as a crash would.
    pub fn abort(&self) {
        self.task.abort();
    }

    /// This writer's name.
    pub fn client_id(&self) -> &ClientId {
        &self.shared.client
    }

    /// What the node said when it accepted the session.
    pub fn session(&self) -> Connected {
        self.shared.session()
    }

    /// The server's time as this client reckons it, microseconds since 1970.
    pub fn server_time_us(&self) -> u64 {
        self.shared.server_time_us()
    }

    /// Whether the session stands, as a value to watch.
    pub fn connected(&self) -> watch::Receiver<bool> {
        self.connected.clone()
    }

    /// What happened so far.
    pub fn stats(&self) -> ClientStats {
        self.shared.stats()
    }

    async fn request(&self, request: Request) -> Result<(), ClientError> {
        let sent = self.requests.send(request).await;
        sent.map_err(|_| ClientError::Ended)
    }
}

/// A name that no other writer has.
fn random_client() -> ClientId {
    // The time beside 64 random bits: two processes with the same seed differ too.
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let name = format!("{:x}-{:016x}", now.as_secs(), rand::rng().random::<u64>());
    ClientId::parse(&name).expect("hexadecimal digits and a dash are a name")
}

/// The ack of one event: a future of where it is stored.
#[derive(Debug)]
pub struct Ack {
    n: u64,
    receiver: oneshot::Receiver<Result<Published, ClientError>>,
}

impl Ack {
    /// The event's number.
    pub fn n(&self) -> u64 {
        self.n
    }
}

impl Future for Ack {
    type Output = Result<Published, ClientError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = Pin::new(&mut self.receiver).poll(context);
        answer.map(|answer| answer.unwrap_or(Err(ClientError::Ended)))
    }
}
