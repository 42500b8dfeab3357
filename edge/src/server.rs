//! A node's life: connect, serve, drain.
//!
//! Owns the routes. Who comes is let in by `door`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use archive::Archive;
use auth::Verifier;
use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{MethodRouter, get, post};
use bus::Bus;
use service::fault::Faults;
use service::listener;
use service::shutdown::Shutdown;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use trace::{Bridges, Tracer};

use crate::accept::{Door, accept};
use crate::config::EdgeConfig;
use crate::core::hub::{Hub, HubSettings};
use crate::core::metrics;
use crate::error::EdgeError;
use crate::http::{cors, head, health, history, manage, openapi, origin, presence, publish, way};
use crate::node::Node;
use crate::origins::Origins;
use crate::reading::{poll, sse};
use crate::ws::upgrade;

/// How long a session may take to drain, once it is its turn, before it is dropped: its
/// own deadline and its close handshake.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(8);
/// How long feeds and lanes may take to end after that.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// A node that serves.
pub struct EdgeNode {
    node: Arc<Node>,
    bus: Bus,
    /// Ends what outlives the sessions: feeds, lanes, watchers.
    stop: Shutdown,
    tasks: TaskTracker,
    addr: SocketAddr,
    health: SocketAddr,
}

/// Connects to NATS and serves on the listener at once; `/readyz` tells when the
/// configuration has been read. Not cancel safe: tasks may have been started.
///
/// # Errors
/// [`EdgeError`]: a setting, or NATS cannot be reached.
pub async fn start(
    config: EdgeConfig,
    public: TcpListener,
    shutdown: Shutdown,
) -> Result<EdgeNode, EdgeError> {
    config.check()?;
    let auth = Verifier::new(&config.token_secret, &config.auth)?;
    let origins = Origins::parse(&config.origins)?;
    let archive = Archive::new(&config.mirrors)?;
    let bridges = archive.bridges();
    let faults = Faults::parse(&config.faults).map_err(EdgeError::Faults)?;
    let (door, reload) = Door::of(&config).await?;
    let addr = public.local_addr().map_err(|source| EdgeError::Listen {
        listen: config.listen,
        source,
    })?;
    let bus = connect(&config).await?;
    let (stop, tasks) = (Shutdown::new(), TaskTracker::new());
    if let Some(reload) = reload {
        tasks.spawn(reload.run(stop.clone()));
    }
    tracing::info!(name = config.name, %addr, "edge listens");
    let settings = HubSettings {
        name: config.name,
        limits: config.limits,
        auth,
        archive,
        probe_interval: Duration::from_millis(config.probe_interval_ms),
        faults,
    };
    let hub = Hub::start(settings, bus.clone(), &stop, &tasks);
    let node = Arc::new(Node {
        sessions: Arc::new(Semaphore::new(hub.limits.connections)),
        hub,
        origins,
        requests: Semaphore::new(publish::REQUESTS_MAX),
        pages: Semaphore::new(history::REQUESTS_MAX),
        managing: Semaphore::new(manage::REQUESTS_MAX),
        traces: Semaphore::new(way::REQUESTS_MAX),
        tracer: Tracer::new(bus.clone(), Bridges::new(bridges)),
        shutdown,
        clients: TaskTracker::new(),
    });
    let health = {
        let node = node.clone();
        let waiting = Arc::new(move || health::waiting(&node));
        listener::serve(config.health, waiting, stop.clone()).await
    };
    let health = health.map_err(|source| EdgeError::Listen {
        listen: config.health,
        source,
    })?;
    // They are shown from the start, with 0.
    metrics::meters();
    tracing::info!(%addr, %health, "health and metrics");
    let router = router(node.clone());
    node.clients
        .spawn(accept(node.clone(), router, door, public));
    Ok(EdgeNode {
        health,
        node,
        bus,
        stop,
        tasks,
        addr,
    })
}

/// The bus, which has room for whatever is accepted.
async fn connect(config: &EdgeConfig) -> Result<Bus, EdgeError> {
    let connected = Bus::connect(&config.nats, &config.name).await;
    let bus = connected.map_err(|source| EdgeError::Nats {
        url: config.nats.url.clone(),
        source,
    })?;
    config.check_room(bus.max_payload())?;
    Ok(bus)
}

impl EdgeNode {
    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where health and metrics are served.
    pub fn health_addr(&self) -> SocketAddr {
        self.health
    }

    /// Serves until the shutdown is triggered, then drains: sessions are told to go
    /// away, so many a second, waiting publishes are answered, outboxes flushed; bounded
    /// in time. Not
    /// cancel safe: dropped, the node goes on serving.
    pub async fn run(self) {
        let node = self.node;
        node.shutdown.triggered().await;
        tracing::info!(addr = %self.addr, "edge drains");
        node.clients.close();
        let departures = node.hub.departures.lasts(node.sessions_open());
        if tokio::time::timeout(departures + DRAIN_TIMEOUT, node.clients.wait())
            .await
            .is_err()
        {
            tracing::warn!(left = node.clients.len(), "sessions did not drain in time");
        }
        self.stop.trigger();
        self.tasks.close();
        if tokio::time::timeout(STOP_TIMEOUT, self.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!(left = self.tasks.len(), "tasks did not end in time");
        }
        self.bus.drain().await;
    }
}

/// Every route: its path and its method, as the OpenAPI document has them.
fn routes() -> [(&'static str, &'static str, MethodRouter<Arc<Node>>); 12] {
    [
        ("/healthz", "get", get(health::healthz)),
        ("/readyz", "get", get(health::readyz)),
        ("/v1/disconnect", "post", post(manage::disconnect)),
        ("/v1/history/{channel}", "get", get(history::history)),
        ("/v1/openapi.json", "get", get(openapi::openapi)),
        ("/v1/poll", "get", get(poll::poll)),
        ("/v1/presence/{channel}", "get", get(presence::presence)),
        ("/v1/publish", "post", post(publish::publish)),
        ("/v1/revoke", "post", post(manage::revoke)),
        ("/v1/sse", "get", get(sse::sse)),
        ("/v1/trace/{id}", "get", get(way::way)),
        ("/v1/ws", "get", get(upgrade::upgrade)),
    ]
}

fn router(node: Arc<Node>) -> Router {
    let routes = routes().into_iter();
    let router = routes.fold(Router::new(), |router, (path, _, route)| {
        router.route(path, route)
    });
    router
        .layer(from_fn(cors::cors))
        .layer(from_fn_with_state(node.clone(), origin::check))
        .layer(from_fn(head::bounded))
        .with_state(node)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_document_has_every_route_and_no_other() {
        let document: serde_json::Value = serde_json::from_str(openapi::DOCUMENT).unwrap();
        let paths = document["paths"].as_object().unwrap().iter();
        let told = paths.flat_map(|(path, item)| {
            let methods = item.as_object().unwrap().keys();
            methods.map(|method| (path.clone(), method.clone()))
        });
        let served = routes().into_iter();
        let served = served.map(|(path, method, _)| (path.to_owned(), method.to_owned()));
        assert_eq!(told.collect::<BTreeSet<_>>(), served.collect());
    }

    #[test]
    fn the_document_knows_every_error_code() {
        let document: serde_json::Value = serde_json::from_str(openapi::DOCUMENT).unwrap();
        let codes = &document["components"]["schemas"]["Error"]["properties"]["code"]["enum"];
        let told: BTreeSet<&str> = codes
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|c| c.as_str())
            .collect();
        let known = serde_json::to_value(protocol::error_code::ErrorCode::ALL.to_vec()).unwrap();
        let known = known.as_array().unwrap().iter();
        assert_eq!(told, known.flat_map(|code| code.as_str()).collect());
    }
}
