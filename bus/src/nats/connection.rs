//! One bus over NATS: its limits, its two connections, core subscriptions.
//!
//! Owns the client and what bounds its use. async-nats's defaults do not suit a
//! service, so every limit is set here.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream;
use async_nats::{Client, ConnectOptions};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use tokio::sync::{Semaphore, SemaphorePermit, watch};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::inbox::{Inbox, OneReply};
use super::places::Places;
use super::signals::Signals;
use super::unreadable::Unreadable;
use super::wire;
use super::writer::Writer;
use crate::error::BusError;
use crate::incoming::{Incoming, ReplyTo};
use crate::limits::REQUEST_TIMEOUT;
use protocol::bus::Outgoing;
use protocol::permission::inbox;
use protocol::subject::Subject;
use service::settings::NatsSettings;

/// How long one attempt to connect may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a drain may take before the connection is left to the system.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
/// Messages that wait in one subscription. Policy: the newest is dropped and counted
/// (`nats_slow_consumer_total`); readers notice the break and repair it. Two of the
/// reader's largest pull requests and their status messages must fit.
pub(super) const SUBSCRIPTION_MESSAGES_MAX: usize = 32_768;
/// Commands that wait for the connection. Policy: the caller waits.
const COMMANDS_MAX: usize = 4_096;
/// The first delay before connecting again; doubles up to the longest.
const RECONNECT_DELAY_MIN: Duration = Duration::from_millis(50);
/// The longest delay before connecting again.
const RECONNECT_DELAY_MAX: Duration = Duration::from_secs(2);
/// A dead peer is noticed after three of these.
const PING_INTERVAL: Duration = Duration::from_secs(5);
/// How often the published state is compared with the client's own: the event that
/// announces a change is lost when too many are under way.
const STATE_CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// Acknowledgements that a connection waits for at a time. Policy: the next publish
/// waits for one of them.
const PENDING_ACKS_MAX: usize = 16_384;
/// Batches that this connection has open at a time; a stream takes 50 of all.
const BATCHES_OPEN_MAX: usize = 16;

/// A NATS connection; clones share it. Reconnects for ever by itself.
#[derive(Clone)]
pub struct Bus {
    pub(super) inner: Arc<Inner>,
}

/// What the clones share.
pub(super) struct Inner {
    pub client: Client,
    pub context: jetstream::Context,
    pub inbox: Inbox,
    /// Held while messages are handed to the connection: first come, first sent.
    pub turn: Semaphore,
    /// Acknowledgements that may be waited for.
    pub pending: Arc<Semaphore>,
    /// The connection that writes.
    pub writer: Writer,
    /// Where messages are that break the connection.
    pub unreadable: Unreadable,
    /// Batches that may be open.
    pub batches: Places,
    connected: watch::Receiver<bool>,
    connects: watch::Receiver<u64>,
    state_check: AbortHandle,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.state_check.abort();
    }
}

impl std::fmt::Debug for Bus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Bus({:?})", self.inner.client.connection_state())
    }
}

impl Bus {
    /// Connects. `name` is what the server shows. Replies come under
    /// `_INBOX_{user}`, or `_INBOX_{name}` without a user, where the user must be
    /// allowed to publish and subscribe ([`crate::permission`]).
    ///
    /// # Errors
    /// [`BusError::Connect`] if the first attempt fails; later breaks are repaired
    /// without the caller.
    pub async fn connect(settings: &NatsSettings, name: &str) -> Result<Self, BusError> {
        if let Some(problem) = settings.problem() {
            return Err(wrong(problem));
        }
        let signals = Arc::new(Signals::new(name));
        let servers: Vec<_> = settings
            .url
            .split(',')
            .map(str::trim)
            .filter(|url| !url.is_empty())
            .collect();
        let client = options(settings, name, signals.clone())?
            .connect(servers.as_slice())
            .await
            .map_err(BusError::Connect)?;
        let writer = {
            let (settings, name) = (settings.clone(), format!("{name} writes"));
            let servers = servers.iter().map(|url| (*url).to_owned()).collect();
            let options = move || credentials(&settings, &name);
            Writer::connect(servers, options, signals.clone()).await?
        };
        let inbox = Inbox::new(&client).await?;
        let mut context = jetstream::new(client.clone());
        context.set_timeout(REQUEST_TIMEOUT);
        let (connected, connects) = (signals.connected(), signals.connects());
        let state_check = tokio::spawn(check_state(client.clone(), signals)).abort_handle();
        let inner = Inner {
            client,
            context,
            inbox,
            turn: Semaphore::new(1),
            pending: Arc::new(Semaphore::new(PENDING_ACKS_MAX)),
            batches: Places::new(BATCHES_OPEN_MAX),
            writer,
            unreadable: Unreadable::default(),
            connected,
            connects,
            state_check,
        };
        let bus = Self {
            inner: Arc::new(inner),
        };
        bus.flush().await?;
        Ok(bus)
    }

    /// Whether the connections that read and write both stand, as a value to watch.
    pub fn connected(&self) -> watch::Receiver<bool> {
        self.inner.connected.clone()
    }

    /// How often what reads was connected, as a value to watch: every change means that
    /// messages of core subscriptions may have been missed.
    pub fn connects(&self) -> watch::Receiver<u64> {
        // A clone has seen what its original has: nothing since the first connection.
        let mut connects = self.inner.connects.clone();
        connects.mark_unchanged();
        connects
    }

    /// Sends what waits, then closes; bounded in time.
    pub async fn drain(&self) {
        let drained = timeout(DRAIN_TIMEOUT, async {
            self.inner.writer.drain().await;
            // An error means that the connection is closed already.
            let _ = self.inner.client.flush().await;
            let _ = self.inner.client.drain().await;
        });
        if drained.await.is_err() {
            tracing::warn!("nats connection did not drain in time");
        }
    }

    /// Most bytes that headers and payload of one message may have together.
    pub fn max_payload(&self) -> usize {
        self.inner.client.max_payload()
    }

    /// Subscribes to a subject without a stream. What is published after the next
    /// [`Self::flush`] arrives; after a break of the connection some is missing.
    ///
    /// # Errors
    /// [`BusError::Disconnected`] once the connection is closed.
    pub async fn subscribe(&self, subject: &Subject) -> Result<Subscription, BusError> {
        let messages = self
            .inner
            .client
            .subscribe(subject.as_str().to_owned())
            .await;
        Ok(Subscription(messages.map_err(|_| BusError::Disconnected)?))
    }

    /// Publishes without a stream: at most once, no answer.
    ///
    /// # Errors
    /// [`BusError::Disconnected`], [`BusError::TooLarge`], [`BusError::Header`].
    pub async fn publish_core(&self, message: Outgoing) -> Result<(), BusError> {
        self.require_connected()?;
        let headers = wire::outgoing(&message)?;
        let subject = message.subject.as_str().to_owned();
        let sent = self
            .inner
            .client
            .publish_with_headers(subject, headers, message.payload)
            .await;
        sent.map_err(|error| self.publish_error(&error))
    }

    /// Waits until the server has processed everything that was sent before: on each of
    /// the two connections a message to ourselves, there and back.
    ///
    /// # Errors
    /// [`BusError::Disconnected`], [`BusError::Timeout`].
    pub async fn flush(&self) -> Result<(), BusError> {
        self.require_connected()?;
        let sent = async {
            // Not held while waiting: a connection that breaks frees who waits for it.
            let link = self.inner.writer.link()?;
            let read = echo(&self.inner.client, &self.inner.inbox);
            let written = echo(&link.client, &link.inbox);
            tokio::try_join!(read, written)
        };
        let both = async {
            let (read, written) = sent.await?;
            tokio::try_join!(read, written)
        };
        let back = timeout(REQUEST_TIMEOUT, both).await;
        back.map_err(|_| BusError::Timeout)?.map(|_| ())
    }

    /// The right to hand messages to the connection, in the order of asking.
    pub(super) async fn turn(&self) -> Result<SemaphorePermit<'_>, BusError> {
        let turn = self.inner.turn.acquire().await;
        turn.map_err(|_| BusError::Disconnected)
    }

    pub(super) fn require_connected(&self) -> Result<(), BusError> {
        match self.inner.client.connection_state() {
            State::Connected => Ok(()),
            State::Pending | State::Disconnected => Err(BusError::Disconnected),
        }
    }

    pub(super) fn publish_error(&self, error: &async_nats::PublishError) -> BusError {
        match error.kind() {
            async_nats::client::PublishErrorKind::MaxPayloadExceeded => BusError::TooLarge {
                max: self.max_payload(),
            },
            async_nats::client::PublishErrorKind::InvalidSubject => {
                BusError::Malformed { what: "subject" }
            }
            async_nats::client::PublishErrorKind::Send => BusError::Disconnected,
        }
    }
}

/// Sends a message to its own sender; what is returned comes when it is back.
async fn echo(client: &Client, inbox: &Inbox) -> Result<OneReply, BusError> {
    let (subject, reply) = inbox.one();
    let sent = client.publish(subject, Bytes::new()).await;
    sent.map(|()| reply).map_err(|_| BusError::Disconnected)
}

fn wrong(problem: impl Into<String>) -> BusError {
    BusError::Setting {
        problem: problem.into(),
    }
}

fn options(
    settings: &NatsSettings,
    name: &str,
    signals: Arc<Signals>,
) -> Result<ConnectOptions, BusError> {
    let options = credentials(settings, name)?
        .request_timeout(Some(REQUEST_TIMEOUT))
        .max_reconnects(None)
        .reconnect_delay_callback(reconnect_delay)
        .event_callback(move |event| {
            let signals = signals.clone();
            async move { signals.hear(&event) }
        });
    Ok(options)
}

/// What both connections have in common: who they are, and when a peer is dead.
fn credentials(settings: &NatsSettings, name: &str) -> Result<ConnectOptions, BusError> {
    let mut options = ConnectOptions::new()
        .name(name)
        .custom_inbox_prefix(inbox(&inbox_owner(
            settings.user.as_deref().unwrap_or(name),
        )))
        .subscription_capacity(SUBSCRIPTION_MESSAGES_MAX)
        .connection_timeout(CONNECT_TIMEOUT)
        .ping_interval(PING_INTERVAL)
        .client_capacity(COMMANDS_MAX);
    if let Some(file) = &settings.nkey {
        options = options.nkey(read("nats.nkey", file)?.trim().to_owned());
    } else if let Some(file) = &settings.credentials {
        let text = read("nats.credentials", file)?;
        options = options
            .credentials(&text)
            .map_err(|error| wrong(format!("nats.credentials: {}: {error}", file.display())))?;
    } else if let Some(user) = &settings.user {
        let password = settings
            .password
            .as_ref()
            .map_or("", |password| password.expose());
        options = options.user_and_password(user.clone(), password.to_owned());
    }
    let tls = &settings.tls;
    if tls.required || tls.ca.is_some() {
        options = options.require_tls(true);
    }
    if let Some(ca) = &tls.ca {
        options = options.add_root_certificates(ca.clone());
    }
    if let (Some(certificate), Some(key)) = (&tls.certificate, &tls.key) {
        options = options.add_client_certificate(certificate.clone(), key.clone());
    }
    Ok(options)
}

/// What a file of the settings holds.
fn read(setting: &str, file: &Path) -> Result<String, BusError> {
    let text = std::fs::read_to_string(file);
    text.map_err(|error| wrong(format!("{setting}: {}: {error}", file.display())))
}

/// A name as one token of a subject.
fn inbox_owner(name: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-';
    name.chars()
        .map(|c| if fits(c) { c } else { '_' })
        .collect()
}

/// 50 ms doubled by each attempt, at most 2 s. The first attempt does not wait.
fn reconnect_delay(attempts: usize) -> Duration {
    match attempts {
        0 => Duration::ZERO,
        n => RECONNECT_DELAY_MIN
            .saturating_mul(1 << n.min(7).saturating_sub(1))
            .min(RECONNECT_DELAY_MAX),
    }
}

async fn check_state(client: Client, signals: Arc<Signals>) {
    let mut ticks = tokio::time::interval(STATE_CHECK_INTERVAL);
    loop {
        ticks.tick().await;
        signals.reads(client.connection_state() == State::Connected);
    }
}

/// Messages of a core subscription; dropping it unsubscribes. Ends only when the
/// connection is closed.
#[derive(Debug)]
pub struct Subscription(async_nats::Subscriber);

impl Subscription {
    /// Of what async-nats hands over.
    pub(super) fn new(messages: async_nats::Subscriber) -> Self {
        Self(messages)
    }
}

impl Stream for Subscription {
    type Item = Incoming;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Incoming>> {
        self.0
            .poll_next_unpin(cx)
            .map(|message| message.map(incoming))
    }
}

fn incoming(message: async_nats::Message) -> Incoming {
    Incoming {
        headers: wire::own_headers(message.headers.as_ref()),
        republished: message.headers.as_ref().and_then(wire::republished),
        reply: message.reply.map(ReplyTo),
        subject: message.subject,
        payload: message.payload,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reconnect_delays_are_bounded() {
        let delays: Vec<_> = (0..10).map(|n| reconnect_delay(n).as_millis()).collect();
        assert_eq!(delays, [0, 50, 100, 200, 400, 800, 1600, 2000, 2000, 2000]);
    }
}
