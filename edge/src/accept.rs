//! Accepts connections and takes each through the door: pace, places, its proxy's
//! header, TLS, then HTTP.
//!
//! Owns the counts of places and addresses. Each connection is one task until it is
//! upgraded; then the session's task owns the socket.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::EdgeConfig;
use crate::core::metrics;
use crate::error::EdgeError;
use crate::http::head;
use crate::node::{Node, Place};
use door::arrival;
use door::proxies::Proxies;
use door::reload::Reload;
use door::tls::{self, Tls};
use shares::addresses::{Addresses, Held};
use shares::rate::Rate;

/// Connections beside the sessions: health checks, metrics, handshakes. Policy: more
/// are closed at once and counted.
const HTTP_CONNECTIONS: usize = 256;
/// Bytes of a request's head that are buffered, and headers that are parsed: twice of
/// what a request may have, so that it can be told why it is refused. Past them it is
/// refused without words.
const HTTP_BUFFER_BYTES: usize = 2 * head::HEADER_BYTES_MAX;
const HTTP_HEADERS: usize = 2 * head::HEADERS_MAX;
/// Wait after a failed accept: the system is out of file descriptors.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// What every connection passes.
pub struct Door {
    /// TLS, if it is spoken.
    tls: Option<Tls>,
    /// Whose word about others is believed.
    proxies: Proxies,
}

impl Door {
    /// What the settings say; and what keeps the certificate fresh, if there is one.
    ///
    /// # Errors
    /// [`EdgeError`] names the setting or the file that cannot be used.
    pub async fn of(config: &EdgeConfig) -> Result<(Self, Option<Reload>), EdgeError> {
        let proxies = Proxies::parse(&config.proxies)?;
        let Some(files) = config.tls.files()? else {
            return Ok((Self { tls: None, proxies }, None));
        };
        let (reload, shown) = Reload::start(files).await?;
        let tls = Some(Tls::new(shown, tls::HTTP1).map_err(EdgeError::Tls)?);
        Ok((Self { tls, proxies }, Some(reload)))
    }
}

/// Accepts until the node drains.
pub async fn accept(node: Arc<Node>, router: Router, door: Door, listener: TcpListener) {
    let limits = &node.hub.limits;
    let places = Arc::new(Semaphore::new(limits.connections + HTTP_CONNECTIONS));
    let pace = Rate::new(limits.accepts_per_second, Instant::now());
    let way = Arc::new(Way {
        node: node.clone(),
        router,
        door,
        addresses: Addresses::default(),
    });
    loop {
        // Who comes faster waits in the system's queue: a storm of reconnects is spread
        // out, and nobody in it is refused.
        if let Some(wait) = pace.wait(1, Instant::now()) {
            metrics::meters().accepts_paced.increment(1);
            tokio::time::sleep(wait).await;
        }
        // Both branches are cancel safe: a connection that was not taken stays queued.
        let accepted = tokio::select! {
            () = node.shutdown.triggered() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, peer)) = accepted else {
            metrics::turned_away("accept_failed");
            tokio::time::sleep(ACCEPT_RETRY).await;
            continue;
        };
        pace.take(1, Instant::now());
        let Ok(permit) = places.clone().try_acquire_owned() else {
            metrics::turned_away("connections");
            continue;
        };
        // Frames are gathered by us; Nagle's algorithm would only delay them.
        let _ = stream.set_nodelay(true);
        let peer = peer.ip();
        if way.door.proxies.contains(peer) {
            node.clients
                .spawn(way.clone().proxied(stream, peer, permit));
        } else if let Some(held) = way.hold(peer) {
            let place = Place::new(permit, held);
            node.clients.spawn(way.clone().serve(stream, place));
        }
    }
}

/// The way of every connection.
struct Way {
    node: Arc<Node>,
    router: Router,
    door: Door,
    addresses: Addresses,
}

impl Way {
    /// A place among the connections of an address, if there is one.
    fn hold(&self, client: IpAddr) -> Option<Held> {
        let max = self.node.hub.limits.connections_per_address;
        let held = self.addresses.hold(client, max);
        if held.is_none() {
            turn_away("address", client);
        }
        held
    }

    /// Takes a proxy's connection: its header says whose it is.
    async fn proxied(
        self: Arc<Self>,
        mut stream: TcpStream,
        proxy: IpAddr,
        permit: OwnedSemaphorePermit,
    ) {
        // Both are cancel safe: the connection ends with the node.
        let client = tokio::select! {
            () = self.node.shutdown.triggered() => return,
            client = arrival::client(&mut stream, proxy) => client,
        };
        match client {
            Ok(client) => {
                if let Some(held) = self.hold(client) {
                    self.serve(stream, Place::new(permit, held)).await;
                }
            }
            Err(fault) => {
                tracing::debug!(%fault, %proxy, "a proxy's header is not taken");
                turn_away(fault.reason(), proxy);
            }
        }
    }

    async fn serve(self: Arc<Self>, stream: TcpStream, place: Place) {
        match &self.door.tls {
            None => self.speak(stream, place).await,
            // Boxed: without TLS nobody pays for its size.
            Some(tls) => Box::pin(self.secure(tls, stream, place)).await,
        }
    }

    async fn secure(&self, tls: &Tls, stream: TcpStream, place: Place) {
        let within = self.node.hub.limits.handshake_timeout();
        // Both are cancel safe: the connection ends with the node.
        let agreed = tokio::select! {
            () = self.node.shutdown.triggered() => return,
            agreed = tls.accept(stream, within) => agreed,
        };
        match agreed {
            Ok(stream) => self.speak(stream, place).await,
            Err(reason) => metrics::turned_away(reason),
        }
    }

    /// Speaks HTTP.
    async fn speak<S>(&self, stream: S, place: Place)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let limits = &self.node.hub.limits;
        let hang_up = CancellationToken::new();
        let router = self.router.clone().layer(axum::Extension(Arc::new(place)));
        let service = TowerToHyperService::new(router.layer(axum::Extension(hang_up.clone())));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.handshake_timeout())
            .max_buf_size(HTTP_BUFFER_BYTES)
            .max_headers(HTTP_HEADERS)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        let mut connection = std::pin::pin!(connection);
        // An error here is the peer's: it broke off, was too slow, or did not speak HTTP.
        // Of these only too long a head is a limit of ours; hyper has refused it.
        // Every branch is cancel safe: the connection is polled on in the last.
        tokio::select! {
            served = &mut connection => {
                if served.is_err_and(|error| error.is_parse_too_large()) {
                    metrics::turned_away("headers");
                }
            }
            () = hang_up.cancelled() => {}
            () = self.node.shutdown.triggered() => {
                connection.as_mut().graceful_shutdown();
                let _ = tokio::time::timeout(limits.handshake_timeout(), connection).await;
            }
        }
    }
}

fn turn_away(reason: &'static str, client: IpAddr) {
    tracing::debug!(reason, %client, "a connection is turned away");
    metrics::turned_away(reason);
}
