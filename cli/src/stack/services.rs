//! The services of a stack: starting them, waiting until they serve, draining them.
//!
//! Owns their tasks. Knows each service only by its `start` and its status.

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bridge::config::KafkaConfig;
use bridge::status::{MirrorStatus, ShardState};
use bridge::{Bridge, BridgeConfig};
use edge::EdgeConfig;
use protocol::permission::Role;
use protocol::secret::Secret;
use service::shutdown::Shutdown;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use workers::{WorkerConfig, WorkerStatus};

use super::error::StackError;
use super::options::StackOptions;
use super::setup::FUNCTIONS;
use super::store;
use super::users::Access;

/// Longest wait for all services to serve: compiling two functions and Kafka's
/// first transaction take seconds on a busy machine, and leases of a killed
/// predecessor five seconds.
const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// How often readiness is looked at.
const READY_INTERVAL: Duration = Duration::from_millis(50);
/// Shards of one store: INGRESS and EVENTS.
const SHARDS: usize = 2;

/// The ports, taken before anything slow begins.
pub(super) struct Listeners {
    edges: Vec<TcpListener>,
    grpc: TcpListener,
}

impl Listeners {
    /// Takes all ports on the loopback address.
    pub async fn bind(options: &StackOptions) -> Result<Self, StackError> {
        let mut edges = Vec::with_capacity(options.edge_ports.len());
        for port in &options.edge_ports {
            edges.push(bind(*port).await?);
        }
        let grpc = bind(options.grpc_port).await?;
        Ok(Self { edges, grpc })
    }
}

async fn bind(port: u16) -> Result<TcpListener, StackError> {
    let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
    bound.map_err(|source| StackError::Port { port, source })
}

/// What the services are told.
pub(super) struct Wanted {
    pub nats: Access,
    pub kafka: String,
    pub secret: Secret,
    pub lanes: u16,
}

type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

/// A service that ended by itself.
#[derive(Debug)]
pub struct ServiceEnd {
    /// Which one.
    pub service: String,
    /// Why, if it said so.
    pub error: Option<Box<dyn Error + Send + Sync>>,
}

/// All services.
pub(super) struct Services {
    pub edges: Vec<SocketAddr>,
    pub grpc: SocketAddr,
    pub worker: WorkerStatus,
    pub mirror: watch::Receiver<MirrorStatus>,
    /// Lanes that a single worker owns.
    pub lanes: usize,
    tasks: JoinSet<(String, Outcome)>,
}

impl Services {
    /// Starts every service; they end when `shutdown` is triggered.
    pub async fn start(
        wanted: Wanted,
        listeners: Listeners,
        shutdown: &Shutdown,
    ) -> Result<Self, StackError> {
        let mut tasks = JoinSet::new();
        let mut edges = Vec::with_capacity(listeners.edges.len());
        for (index, listener) in listeners.edges.into_iter().enumerate() {
            let name = format!("edge-{}", index + 1);
            let config = EdgeConfig {
                name: name.clone(),
                nats: wanted.nats.service(Role::Edge),
                token_secret: wanted.secret.clone(),
                ..EdgeConfig::default()
            };
            let node = edge::start(config, listener, shutdown.child()).await?;
            edges.push(node.addr());
            tasks.spawn(async move {
                node.run().await;
                (name, Ok(()))
            });
        }
        let worker = start_worker(&wanted, shutdown).await?;
        let worker_status = worker.status();
        tasks.spawn(async move { ("worker".to_owned(), worker.run().await.map_err(Into::into)) });
        let bridge = start_bridge(&wanted, listeners.grpc, shutdown).await?;
        let (grpc, mirror) = (bridge.grpc_addr(), bridge.status());
        tasks.spawn(async move { ("bridge".to_owned(), bridge.run().await.map_err(Into::into)) });
        Ok(Self {
            edges,
            grpc,
            worker: worker_status,
            mirror,
            lanes: usize::from(wanted.lanes) * FUNCTIONS.len(),
            tasks,
        })
    }

    /// Waits until everything serves.
    pub async fn ready(&self) -> Result<(), StackError> {
        let deadline = Instant::now() + READY_TIMEOUT;
        while let Some(what) = self.unready().await {
            if Instant::now() >= deadline {
                return Err(StackError::NotReady {
                    what,
                    seconds: READY_TIMEOUT.as_secs(),
                });
            }
            tokio::time::sleep(READY_INTERVAL).await;
        }
        Ok(())
    }

    /// The first thing that does not serve yet.
    async fn unready(&self) -> Option<String> {
        for (index, edge) in self.edges.iter().enumerate() {
            if !is_ready(*edge).await {
                return Some(format!("edge node {} at {edge}", index + 1));
            }
        }
        let owned = self.worker.lanes_owned();
        if owned < self.lanes {
            return Some(format!("the worker, with {owned} of {} lanes,", self.lanes));
        }
        let shards = &self.mirror.borrow().shards;
        let mirroring = shards
            .values()
            .filter(|shard| shard.state == ShardState::Mirroring);
        (mirroring.count() < SHARDS).then(|| "the bridge's mirror".to_owned())
    }

    /// Waits for the first service that ends.
    pub async fn ended(&mut self) -> ServiceEnd {
        match self.tasks.join_next().await {
            Some(Ok((service, outcome))) => ServiceEnd {
                service,
                error: outcome.err(),
            },
            Some(Err(panic)) => ServiceEnd {
                service: "a service".to_owned(),
                error: Some(panic.into()),
            },
            // Nothing is left that could end.
            None => std::future::pending().await,
        }
    }

    /// Waits until all services have ended, after the shutdown was triggered.
    pub async fn drain(&mut self) {
        while let Some(ended) = self.tasks.join_next().await {
            match ended {
                Ok((_, Ok(()))) => {}
                Ok((service, Err(error))) => {
                    tracing::warn!(service, error, "did not end in order");
                }
                Err(error) => tracing::warn!(%error, "a service did not end in order"),
            }
        }
    }
}

async fn start_worker(wanted: &Wanted, shutdown: &Shutdown) -> Result<workers::Worker, StackError> {
    let config = WorkerConfig {
        nats: wanted.nats.service(Role::Worker),
        store: store(),
        ..WorkerConfig::default()
    };
    Ok(workers::start(config, shutdown.child()).await?)
}

async fn start_bridge(
    wanted: &Wanted,
    listener: TcpListener,
    shutdown: &Shutdown,
) -> Result<Bridge, StackError> {
    let config = BridgeConfig {
        nats: wanted.nats.service(Role::Bridge),
        kafka: KafkaConfig {
            bootstrap: wanted.kafka.clone(),
            ..KafkaConfig::default()
        },
        store: store(),
        token_secret: wanted.secret.clone(),
        ..BridgeConfig::default()
    };
    Ok(bridge::start(config, listener, shutdown.child()).await?)
}

/// Whether a node's `/readyz` says 200.
async fn is_ready(edge: SocketAddr) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect(edge).await?;
        let request = "GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).await?;
        let mut status = [0; "HTTP/1.1 200".len()];
        stream.read_exact(&mut status).await?;
        std::io::Result::Ok(status.ends_with(b" 200"))
    };
    let asked = tokio::time::timeout(READY_TIMEOUT, ask).await;
    matches!(asked, Ok(Ok(true)))
}
