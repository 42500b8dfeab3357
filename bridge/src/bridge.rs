//! Starting and stopping: connects, starts the shards, the follower of the progress
//! and the gRPC server, and waits for their end.
//!
//! Owns the tasks. What they do is theirs.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bus::pulse::Pulse;
use bus::{Bus, Kv, directory};
use door::reload::Reload;
use door::tls::{self, Tls};
use protocol::record::{Progress, progress_topic};
use protocol::spec::StoreSpec;
use protocol::stream::Bucket;
use protocol::stream::StreamName;
use rand::Rng;
use service::fault::Faults;
use service::listener;
use service::shutdown::Shutdown;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;

use crate::arrivals::{self, Arrival};
use crate::config::BridgeConfig;
use crate::error::BridgeError;
use crate::kafka::admin::Admin;
use crate::metrics;
use crate::mirror::allocation::{Allocation, allocate};
use crate::mirror::owner;
use crate::mirror::progress::tail;
use crate::mirror::shard::Shard;
use crate::proto::DESCRIPTORS;
use crate::proto::replay_server::ReplayServer;
use crate::replay::access::Access;
use crate::replay::service::ReplayService;
use crate::replay::{Context, Home};
use crate::status::{MirrorStatus, update};

/// Between two attempts to prepare the progress topic while a server is out of reach.
const PREPARE_INTERVAL: Duration = Duration::from_millis(500);
/// How long the parts may take to end: a commit under way, an abort, open replays.
const STOP_LIMIT: Duration = Duration::from_secs(20);
/// HTTP/2 window of one call and of a connection, in bytes: a fast client is not
/// held up by a round trip, a slow one holds no more than this beside its queue.
const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 4 * 1024 * 1024;

/// A running bridge.
#[derive(Debug)]
pub struct Bridge {
    grpc: SocketAddr,
    health: SocketAddr,
    status: watch::Receiver<MirrorStatus>,
    shutdown: Shutdown,
    tasks: JoinSet<Result<(), BridgeError>>,
    buses: [Bus; 2],
}

/// Starts a bridge; it works from here on. A Kafka that is out of reach does not
/// stop it: it mirrors as soon as it answers. The store must have been bootstrapped.
///
/// # Errors
/// [`BridgeError`]: settings, NATS out of reach, no store.
pub async fn start(
    config: BridgeConfig,
    grpc_listener: TcpListener,
    shutdown: Shutdown,
) -> Result<Bridge, BridgeError> {
    config.check()?;
    metrics::describe();
    let access = Access::new(&config)?;
    let faults = Faults::parse(&config.faults)?;
    let (tls, reload) = agreed(&config).await?;
    let admin = Arc::new(Admin::new(&config.kafka)?);
    let grpc = grpc_listener.local_addr().map_err(BridgeError::Listener)?;
    let bus = Bus::connect(&config.nats, "bridge").await?;
    // A connection of their own: behind megabytes of events, renewals come too late.
    let lease_bus = Bus::connect(&config.nats, "bridge").await?;
    let settings = bus.kv(Bucket::Config).await?;
    let leases = lease_bus.kv(Bucket::Leases).await?;
    let spec = directory::store(&bus, &config.store).await?;

    let streams = mirrored(&config);
    let (status, status_watch) = watch::channel(MirrorStatus::default());
    let pulse = Pulse::start(
        bus.clone(),
        StreamName::events(&config.store),
        shutdown.clone(),
    );
    let health = {
        let (bus, status, access) = (bus.clone(), status_watch.clone(), access.clone());
        let waiting = Arc::new(move || waiting(&bus, &pulse, &access, &status));
        listener::serve(config.health, waiting, shutdown.clone())
            .await
            .map_err(BridgeError::Health)?
    };
    let (progress, progress_watch) = watch::channel(BTreeMap::new());
    let parts = Parts {
        config,
        spec,
        bus: bus.clone(),
        settings,
        leases,
        admin,
        faults,
        status: Arc::new(status),
        progress: Arc::new(progress),
        shutdown: shutdown.clone(),
    };
    for stream in &streams {
        update(&parts.status, stream, |status| {
            status.waits_for = Some("the progress topic".into());
        });
    }
    let context = parts.context(progress_watch);
    let service = ReplayService::new(context, access.clone(), shutdown.clone());
    let mut tasks = JoinSet::new();
    tasks.spawn(keep_fresh(reload, shutdown.clone()));
    let arrivals = arrivals::accept(grpc_listener, tls, shutdown.clone());
    tasks.spawn(serve(arrivals, service, shutdown.clone()));
    tasks.spawn(access.follow(bus.clone(), shutdown.clone()));
    tasks.spawn(parts.mirror(streams));
    Ok(Bridge {
        grpc,
        health,
        status: status_watch,
        shutdown,
        tasks,
        buses: [bus, lease_bus],
    })
}

impl Bridge {
    /// Where gRPC listens.
    pub fn grpc_addr(&self) -> SocketAddr {
        self.grpc
    }

    /// Where health and metrics are served.
    pub fn health_addr(&self) -> SocketAddr {
        self.health
    }

    /// How far the mirror is, and what this process does for it.
    pub fn status(&self) -> watch::Receiver<MirrorStatus> {
        self.status.clone()
    }

    /// Waits for the shutdown and then for every part's end: transactions under way
    /// are ended and leases given back.
    ///
    /// # Errors
    /// The first part that failed; the others are shut down with it.
    pub async fn run(mut self) -> Result<(), BridgeError> {
        let mut result = Ok(());
        // Both branches are cancel safe: a task's end stays in the set.
        tokio::select! {
            () = self.shutdown.triggered() => {}
            Some(ended) = self.tasks.join_next() => result = ended.map_err(|_| BridgeError::Part).flatten(),
        }
        self.shutdown.trigger();
        let ended = tokio::time::timeout(STOP_LIMIT, async {
            while let Some(ended) = self.tasks.join_next().await {
                let ended = ended.map_err(|_| BridgeError::Part).flatten();
                if result.is_ok() {
                    result = ended;
                }
            }
        });
        if ended.await.is_err() {
            tracing::warn!("a part of the bridge does not end in time and is dropped");
        }
        for bus in &self.buses {
            bus.drain().await;
        }
        result
    }
}

/// What keeps the bridge from being ready: its connection, JetStream, what tokens are
/// checked with, its shards.
fn waiting(
    bus: &Bus,
    pulse: &Pulse,
    access: &Access,
    status: &watch::Receiver<MirrorStatus>,
) -> Vec<String> {
    let mut waiting = Vec::new();
    if !*bus.connected().borrow() {
        waiting.push("not connected to nats".to_owned());
    }
    waiting.extend(pulse.waiting());
    waiting.extend(access.waiting());
    waiting.extend(status.borrow().waiting());
    waiting
}

/// What the parts are made of.
struct Parts {
    config: BridgeConfig,
    spec: StoreSpec,
    bus: Bus,
    settings: Kv,
    leases: Kv,
    admin: Arc<Admin>,
    faults: Faults,
    status: Arc<watch::Sender<MirrorStatus>>,
    progress: Arc<watch::Sender<BTreeMap<StreamName, Progress>>>,
    shutdown: Shutdown,
}

impl Parts {
    fn context(&self, progress: watch::Receiver<BTreeMap<StreamName, Progress>>) -> Context {
        Context {
            bus: self.bus.clone(),
            kafka: self.config.kafka.clone(),
            observer: self.admin.observer().clone(),
            home: Home {
                store: self.config.store.clone(),
                epoch: self.spec.epoch.clone(),
                topic_prefix: self.config.kafka.topic_prefix.clone(),
            },
            lanes: self.spec.lanes,
            progress,
        }
    }

    /// Prepares what all shards share, then runs them until shutdown.
    async fn mirror(self, streams: [StreamName; 2]) -> Result<(), BridgeError> {
        let topic = progress_topic(&self.config.kafka.topic_prefix);
        let Some(allocation) = self.prepare(&topic, &streams).await else {
            return Ok(());
        };
        let mut tasks = JoinSet::new();
        for stream in streams {
            tasks.spawn(owner::work(Arc::new(self.shard(
                stream,
                &topic,
                &allocation,
            ))));
        }
        tasks.spawn_blocking(move || self.follow(&topic, &allocation));
        while let Some(ended) = tasks.join_next().await {
            ended.map_err(|_| BridgeError::Part)?;
        }
        Ok(())
    }

    /// `None` at shutdown.
    async fn prepare(&self, topic: &str, streams: &[StreamName]) -> Option<Allocation> {
        loop {
            let problem = match allocate(&self.settings, topic, streams).await {
                Ok(allocation) => match self
                    .admin
                    .ensure_progress(topic, allocation.partitions)
                    .await
                {
                    Ok(()) => return Some(allocation),
                    Err(error) => error.to_string(),
                },
                Err(error) => error.to_string(),
            };
            tracing::warn!(problem, "the mirror cannot begin yet");
            for stream in streams {
                update(&self.status, stream, |status| {
                    status.waits_for = Some(problem.clone());
                });
            }
            // Both branches are cancel safe: they only wait.
            tokio::select! {
                () = tokio::time::sleep(PREPARE_INTERVAL) => {}
                () = self.shutdown.triggered() => return None,
            }
        }
    }

    fn shard(&self, stream: StreamName, topic: &str, allocation: &Allocation) -> Shard {
        Shard {
            progress_partition: allocation.of[&stream],
            stream,
            epoch: self.spec.epoch.clone(),
            config: self.config.clone(),
            bus: self.bus.clone(),
            leases: self.leases.clone(),
            admin: self.admin.clone(),
            progress_topic: topic.to_owned(),
            faults: self.faults.clone(),
            owner: format!("bridge-{:08x}", rand::rng().random::<u32>()),
            status: self.status.clone(),
            shutdown: self.shutdown.clone(),
        }
    }

    /// Follows what is committed, by whichever process; blocks until shutdown.
    fn follow(&self, topic: &str, allocation: &Allocation) {
        let of: BTreeMap<_, _> = allocation
            .of
            .iter()
            .filter(|(stream, _)| self.status.borrow().shards.contains_key(*stream))
            .map(|(s, p)| (s.clone(), *p))
            .collect();
        let stop = || self.shutdown.is_triggered();
        tail(&self.config.kafka, topic, &of, &stop, |progress| {
            update(&self.status, &progress.stream, |status| {
                status.mirrored = status.mirrored.max(progress.seq);
                status.time_us = progress.time;
                status.gaps = progress.gaps.len() as u64;
            });
            // A follower that begins anew reads old records again.
            self.progress.send_if_modified(|all| {
                let newer = all
                    .get(&progress.stream)
                    .is_none_or(|known| progress.seq > known.seq);
                if newer {
                    all.insert(progress.stream.clone(), progress);
                }
                newer
            });
        });
    }
}

/// The streams that become shards.
fn mirrored(config: &BridgeConfig) -> [StreamName; 2] {
    [
        StreamName::ingress(&config.store),
        StreamName::events(&config.store),
    ]
}

/// TLS as the settings have it, and what keeps its certificate fresh.
async fn agreed(config: &BridgeConfig) -> Result<(Option<Tls>, Option<Reload>), BridgeError> {
    let Some(files) = config.tls.files()? else {
        return Ok((None, None));
    };
    let (reload, shown) = Reload::start(files).await?;
    let tls = Tls::new(shown, tls::HTTP2).map_err(BridgeError::Tls)?;
    Ok((Some(tls), Some(reload)))
}

/// Keeps the certificate fresh, if there is one; ends with the bridge.
async fn keep_fresh(reload: Option<Reload>, shutdown: Shutdown) -> Result<(), BridgeError> {
    match reload {
        Some(reload) => reload.run(shutdown).await,
        None => shutdown.triggered().await,
    }
    Ok(())
}

async fn serve(
    arrivals: mpsc::Receiver<std::io::Result<Arrival>>,
    service: ReplayService,
    shutdown: Shutdown,
) -> Result<(), BridgeError> {
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<ReplayServer<ReplayService>>().await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .expect("the descriptors were made by the build");
    Server::builder()
        .tcp_nodelay(true)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .http2_keepalive_interval(Some(Duration::from_secs(30)))
        .add_service(ReplayServer::new(service))
        .add_service(health_service)
        .add_service(reflection)
        .serve_with_incoming_shutdown(ReceiverStream::new(arrivals), async move {
            shutdown.triggered().await
        })
        .await
        .map_err(BridgeError::Grpc)
}
