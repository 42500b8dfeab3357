//! The connection that writes. It is thrown away whole when it breaks.
//!
//! Owns the connection and the task that makes the next one. async-nats keeps what it
//! was handed while a connection is broken and sends it after the reconnect, however
//! late that is: an event would be stored a second time once its id is forgotten. So
//! this client never reconnects: its queue dies with it, and who waits for an
//! acknowledgement hears at once that the outcome is unknown. Acknowledgements come over
//! it too, so that none waits behind what is read, and the server can say that nobody
//! listens (it tells only the connection that waits for the reply). What the system's socket still
//! holds may arrive for as long as the system tries, about 100 s (RFC 1122, 4.2.3.5);
//! the shortest duplicate window is longer.

use std::sync::Arc;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::{Client, ConnectOptions, Event};
use parking_lot::RwLock;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::inbox::Inbox;
use super::signals::Signals;
use crate::error::BusError;
use service::backoff::Backoff;

/// The first wait before a new connection is made.
const CONNECT_WAIT_FIRST: Duration = Duration::from_millis(50);
/// The longest wait between two attempts.
const CONNECT_WAIT_LONGEST: Duration = Duration::from_secs(2);
/// How often a connection whose break was not announced is looked at.
const STATE_CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// The only server that a broken client knows: nothing can listen on port 0, so its
/// one attempt to reconnect fails at once and ends it.
const NOWHERE: &str = "nats://127.0.0.1:0";

/// One connection, until it breaks.
pub(super) struct Link {
    /// Takes messages.
    pub client: Client,
    /// Takes their acknowledgements.
    pub inbox: Inbox,
}

impl Link {
    fn stands(&self) -> bool {
        self.client.connection_state() == State::Connected
    }
}

type Current = Arc<RwLock<Option<Arc<Link>>>>;

/// The connection that writes, as it is now.
pub(super) struct Writer {
    current: Current,
    keeper: AbortHandle,
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

/// Makes connections that do not reconnect.
struct Maker {
    servers: Vec<String>,
    options: Box<dyn Fn() -> Result<ConnectOptions, BusError> + Send + Sync>,
    broken: Arc<Notify>,
}

impl Maker {
    async fn connect(&self) -> Result<Link, BusError> {
        let broken = self.broken.clone();
        let options = (self.options)()?
            .max_reconnects(1)
            .reconnect_delay_callback(|_| Duration::ZERO)
            .ignore_discovered_servers()
            .event_callback(move |event| {
                if matches!(event, Event::Disconnected | Event::Closed) {
                    broken.notify_one();
                }
                std::future::ready(())
            });
        let connected = options.connect(self.servers.as_slice()).await;
        let client = connected.map_err(BusError::Connect)?;
        // It fails only if the connection has ended already, in which it may not live on.
        let set = client.set_server_pool([NOWHERE].as_slice()).await;
        set.map_err(|_| BusError::Disconnected)?;
        let inbox = Inbox::new(&client).await?;
        // The server knows the inbox before anything is sent.
        let flushed = client.flush().await;
        flushed.map_err(|_| BusError::Disconnected)?;
        Ok(Link { client, inbox })
    }
}

impl Writer {
    /// Connects. `options` gives credentials and limits; `signals` are told of every
    /// break and of its end.
    pub(super) async fn connect(
        servers: Vec<String>,
        options: impl Fn() -> Result<ConnectOptions, BusError> + Send + Sync + 'static,
        signals: Arc<Signals>,
    ) -> Result<Self, BusError> {
        let maker = Maker {
            servers,
            options: Box::new(options),
            broken: Arc::default(),
        };
        let first = maker.connect().await?;
        let current = Arc::new(RwLock::new(Some(Arc::new(first))));
        let keeper = tokio::spawn(keep(maker, current.clone(), signals)).abort_handle();
        Ok(Self { current, keeper })
    }

    /// The connection to hand messages to. Held no longer than that: what it holds dies
    /// with it.
    ///
    /// # Errors
    /// [`BusError::Disconnected`] while there is none.
    pub(super) fn link(&self) -> Result<Arc<Link>, BusError> {
        let current = self.current.read().clone();
        current
            .filter(|link| link.stands())
            .ok_or(BusError::Disconnected)
    }

    /// Sends what waits, then closes for good.
    pub(super) async fn drain(&self) {
        self.keeper.abort();
        let last = self.current.write().take();
        if let Some(link) = last {
            // An error means that the connection is closed already.
            let _ = link.client.flush().await;
            let _ = link.client.drain().await;
        }
    }
}

/// Replaces the connection whenever it breaks.
async fn keep(maker: Maker, current: Current, signals: Arc<Signals>) {
    loop {
        // Cancel safe, and only cancelled by the time limit: a notice is kept.
        let _ = timeout(STATE_CHECK_INTERVAL, maker.broken.notified()).await;
        if current.read().as_ref().is_some_and(|link| link.stands()) {
            continue;
        }
        signals.writes(false);
        // Dropped with all that waits in it.
        *current.write() = None;
        let mut backoff = Backoff::new(CONNECT_WAIT_FIRST, CONNECT_WAIT_LONGEST);
        let next = loop {
            match maker.connect().await {
                Ok(link) => break link,
                Err(error) => tracing::debug!(%error, "nats is out of reach for writing"),
            }
            backoff.wait().await;
        };
        metrics::counter!("nats_writer_reconnects_total").increment(1);
        *current.write() = Some(Arc::new(next));
        signals.writes(true);
    }
}
