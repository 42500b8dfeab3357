//! The services of a stack: their settings, whether they serve, what they show.
//!
//! Owns their tasks. Knows each service only by its settings and its status.

use std::net::SocketAddr;
use std::time::Duration;

use archive::MirrorSettings;
use auth::AuthSettings;
use bridge::BridgeConfig;
use bridge::config::KafkaConfig;
use bridge::status::ShardState;
use devstack::port::Lease;
use edge::EdgeConfig;
use protocol::permission::Role;
use protocol::secret::Secret;
use protocol::stream::StreamName;
use service::shutdown::Shutdown;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use workers::WorkerConfig;

use super::error::StackError;
use super::options::{StackOptions, store};
use super::part::{self, Parts, Seen, View};
use super::users::Access;
use crate::http;
use crate::instance::{Instance, InstanceError, Placement};
use crate::programs;
use crate::service::Service;

/// Longest wait for all services to serve: compiling two functions and Kafka's
/// first transaction take seconds on a busy machine, and leases of a killed
/// predecessor five seconds.
const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// The same where something could not be set up: what does not serve for that reason is
/// not worth a minute, and what serves is wanted now.
const READY_TIMEOUT_TROUBLED: Duration = Duration::from_secs(10);
/// How often readiness is looked at.
const READY_INTERVAL: Duration = Duration::from_millis(50);

/// The services before they are told where the servers are; their ports are taken
/// before anything slow begins.
pub(super) struct Bound {
    edges: Vec<Instance<EdgeConfig>>,
    worker: Instance<WorkerConfig>,
    bridge: Option<Instance<BridgeConfig>>,
}

impl Bound {
    /// Takes all ports on the loopback address.
    pub async fn new(options: &StackOptions) -> Result<Self, StackError> {
        let mut edges = Vec::with_capacity(options.edge_ports.len());
        for (index, port) in options.edge_ports.iter().enumerate() {
            let name = format!("edge-{}", index + 1);
            edges.push(bound(&name, EdgeConfig::default(), *port).await?);
        }
        let bridge = match options.mirror {
            true => Some(bound("bridge", BridgeConfig::default(), options.grpc_port).await?),
            false => None,
        };
        let worker = WorkerConfig {
            compiled: Some(programs::compiled(&options.devstack.cache)),
            ..WorkerConfig::default()
        };
        Ok(Self {
            edges,
            worker: bound("worker", worker, 0).await?,
            bridge,
        })
    }
}

async fn bound<S: Service>(name: &str, config: S, port: u16) -> Result<Instance<S>, StackError> {
    let mut instance = Instance::new(
        name,
        config,
        Placement::Here,
        [Lease::of(port)?, Lease::free()?],
    );
    instance.bind().await.map_err(|error| match error {
        InstanceError::Port { port, source, .. } => StackError::Port { port, source },
        other => StackError::Instance(other),
    })?;
    Ok(instance)
}

/// What the services are told.
pub(super) struct Wanted {
    pub nats: Access,
    /// Where Kafka is; looked at by the bridge, if there is one.
    pub kafka: Option<String>,
    pub secret: Secret,
    /// Lanes of the store.
    pub lanes: u16,
    /// Functions that are deployed.
    pub deployed: watch::Receiver<usize>,
}

/// All services.
pub(super) struct Services {
    pub edges: Vec<SocketAddr>,
    /// Where each edge node shows health and metrics.
    pub health: Vec<SocketAddr>,
    pub grpc: Option<SocketAddr>,
    pub worker: View<WorkerConfig>,
    pub mirror: Option<View<BridgeConfig>>,
    lanes: u16,
    deployed: watch::Receiver<usize>,
    edge_views: Vec<View<EdgeConfig>>,
    parts: Parts,
}

/// What keeps a part from serving.
enum Lack {
    /// It may come.
    Waits(String),
    /// It does not come by waiting.
    Broken(String),
}

/// The services of a stack take its secret, which begins as no other may.
fn development() -> AuthSettings {
    AuthSettings {
        dev: true,
        ..AuthSettings::default()
    }
}

/// The same for edge nodes, with tickets: by another key than that of tokens, so that no
/// text is both.
fn with_tickets(secret: &Secret) -> AuthSettings {
    AuthSettings {
        ticket_keys: vec![Secret::new(format!("{}.tickets", secret.expose()))],
        ..development()
    }
}

/// Where edge nodes read what the store no longer keeps.
fn mirror(grpc: SocketAddr, secret: &Secret) -> MirrorSettings {
    MirrorSettings {
        store: store(),
        grpc: grpc.to_string(),
        roots: None,
        token_secret: secret.clone(),
    }
}

impl Services {
    /// Starts every service; they end when `shutdown` is triggered. What happens to
    /// them is told to `notes`.
    pub fn start(
        wanted: Wanted,
        bound: Bound,
        shutdown: &Shutdown,
        notes: &mpsc::Sender<String>,
    ) -> Self {
        let mut parts = Parts::new();
        let (mut edges, mut health, mut edge_views) = (Vec::new(), Vec::new(), Vec::new());
        let grpc = bound.bridge.as_ref().map(Instance::address);
        let mirrors = grpc.map(|grpc| mirror(grpc, &wanted.secret));
        for mut edge in bound.edges {
            edge.config = EdgeConfig {
                name: edge.name().to_owned(),
                nats: wanted.nats.service(Role::Edge),
                token_secret: wanted.secret.clone(),
                auth: with_tickets(&wanted.secret),
                mirrors: mirrors.iter().cloned().collect(),
                ..edge.config.clone()
            };
            edges.push(edge.address());
            health.push(edge.health());
            edge_views.push(part::keep(
                &mut parts,
                edge,
                shutdown.child(),
                notes.clone(),
            ));
        }
        let mut worker = bound.worker;
        worker.config = WorkerConfig {
            nats: wanted.nats.service(Role::Worker),
            store: store(),
            ..worker.config.clone()
        };
        let worker = part::keep(&mut parts, worker, shutdown.child(), notes.clone());
        let mirror = bound.bridge.map(|mut bridge| {
            bridge.config = BridgeConfig {
                nats: wanted.nats.service(Role::Bridge),
                kafka: KafkaConfig {
                    bootstrap: wanted.kafka.unwrap_or_default(),
                    ..KafkaConfig::default()
                },
                store: store(),
                token_secret: wanted.secret,
                auth: development(),
                ..bridge.config.clone()
            };
            part::keep(&mut parts, bridge, shutdown.child(), notes.clone())
        });
        Self {
            edges,
            health,
            grpc,
            worker,
            mirror,
            lanes: wanted.lanes,
            deployed: wanted.deployed,
            edge_views,
            parts,
        }
    }

    /// Lanes that the worker should own, over all functions of the examples.
    pub fn lanes(&self) -> usize {
        usize::from(self.lanes) * *self.deployed.borrow()
    }

    /// Waits until everything serves, or until waiting for what does not serve would be
    /// of no use; says what does not. `set_up`: nothing is known to be missing.
    pub async fn ready(&self, set_up: bool) -> Vec<String> {
        let timeout = match set_up {
            true => READY_TIMEOUT,
            false => READY_TIMEOUT_TROUBLED,
        };
        let deadline = Instant::now() + timeout;
        loop {
            let lacks = self.lacks().await;
            let waits = lacks.iter().any(|lack| matches!(lack, Lack::Waits(_)));
            if !waits || Instant::now() >= deadline {
                let told = lacks.into_iter().map(|lack| match lack {
                    Lack::Waits(what) | Lack::Broken(what) => what,
                });
                return told.collect();
            }
            tokio::time::sleep(READY_INTERVAL).await;
        }
    }

    async fn lacks(&self) -> Vec<Lack> {
        let mut lacks = Vec::new();
        for (index, health) in self.health.iter().enumerate() {
            let seen = self.edge_views[index].borrow().clone();
            match seen {
                Seen::Failed(reason) => lacks.push(Lack::Broken(reason)),
                Seen::Starting => lacks.push(Lack::Waits(format!("edge-{} starts", index + 1))),
                Seen::Runs(()) => {
                    if let Err(reason) = http::ready(*health).await {
                        let text = format!("edge-{} is not ready: {reason}", index + 1);
                        lacks.push(Lack::Waits(text));
                    }
                }
            }
        }
        lacks.extend(self.worker_lack());
        lacks.extend(self.mirror_lacks());
        lacks.extend(self.halted().into_iter().map(Lack::Broken));
        lacks
    }

    fn worker_lack(&self) -> Option<Lack> {
        let owned = match &*self.worker.borrow() {
            Seen::Failed(reason) => return Some(Lack::Broken(reason.clone())),
            Seen::Starting => return Some(Lack::Waits("the worker starts".into())),
            Seen::Runs(status) => status.lanes_owned(),
        };
        let lanes = self.lanes();
        let text = || format!("the worker owns {owned} of {lanes} lanes");
        (owned < lanes).then(|| Lack::Waits(text()))
    }

    fn mirror_lacks(&self) -> Vec<Lack> {
        let Some(mirror) = &self.mirror else {
            return Vec::new();
        };
        let seen = mirror.borrow();
        let status = match &*seen {
            Seen::Failed(reason) => return vec![Lack::Broken(reason.clone())],
            Seen::Starting => return vec![Lack::Waits("the bridge starts".into())],
            Seen::Runs(status) => status.borrow(),
        };
        let lack = |stream: StreamName| match status.shards.get(&stream).map(|shard| shard.state) {
            Some(ShardState::Mirroring | ShardState::Halted) => None,
            _ => Some(Lack::Waits(format!(
                "the bridge does not mirror {stream} yet"
            ))),
        };
        streams().into_iter().filter_map(lack).collect()
    }

    /// What has halted and does not go on before somebody has seen to it.
    pub fn halted(&self) -> Vec<String> {
        let mut halted = Vec::new();
        if let Seen::Runs(status) = &*self.worker.borrow()
            && let lanes @ 1.. = status.lanes_halted()
        {
            halted.push(format!(
                "functions have halted on {lanes} lanes of the worker: its log says why"
            ));
        }
        let mirror = self.mirror.as_ref().map(|mirror| mirror.borrow());
        if let Some(Seen::Runs(status)) = mirror.as_deref() {
            let status = status.borrow();
            let state = |stream: &StreamName| status.shards.get(stream).map(|shard| shard.state);
            let streams = streams().into_iter();
            let shards = streams.filter(|stream| state(stream) == Some(ShardState::Halted));
            halted.extend(shards.map(|stream| {
                format!("the bridge has halted the mirror of {stream}: its log says why")
            }));
        }
        halted
    }

    /// Waits until all services have ended, after the shutdown was triggered.
    pub async fn drain(&mut self) {
        while let Some(ended) = self.parts.join_next().await {
            match ended {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%error, "did not end in order"),
                Err(error) => tracing::warn!(%error, "a service did not end in order"),
            }
        }
    }
}

/// The streams that are mirrored.
fn streams() -> [StreamName; 2] {
    [StreamName::ingress(&store()), StreamName::events(&store())]
}
