//! What a deployment is made of: defaults that fit most tests, and how to change them.
//!
//! Owns the wishes until they are carried out. Starts everything in the order in
//! which a real deployment would: servers, store, namespaces, functions, services.

use std::time::Duration;

use archive::MirrorSettings;
use auth::Signer;
use bridge::BridgeConfig;
use bus::Bus;
use bus::bootstrap::StoreSettings;
use checker::Recorder;
use edge::EdgeConfig;
use protocol::lane::Lane;
use protocol::name::{StoreName, Tenant};
use protocol::permission::Role;
use protocol::secret::Secret;
use protocol::spec::FunctionLimits;
use protocol::stream::StreamName;
use protocol::subject::Subject;
use rand::Rng;
use service::settings::NatsSettings;
use workers::WorkerConfig;

use super::setup::FunctionChoice;
use super::{Deployment, setup};
use crate::brokers::BROKERS;
use crate::cluster::SERVERS;
use crate::collect::streams::Log;
use crate::environment;
use crate::instance::{Instance, Placement};
use crate::servers::{KafkaChoice, NatsChoice, Servers};
use crate::{store, wait};
use local::Service;

/// Lanes of a test's store: several, and few enough to be owned quickly.
const LANES: u16 = 4;
/// Most bytes of each stream.
const STREAM_BYTES_MAX: u64 = 256 << 20;

type Change<C> = Box<dyn Fn(usize, &mut C) + Send>;

/// What a deployment will be.
pub struct Builder {
    seed: u64,
    store: StoreSettings,
    stores: Vec<StoreName>,
    nats: NatsChoice,
    kafka: KafkaChoice,
    placement: Placement,
    functions: Vec<FunctionChoice>,
    limits: FunctionLimits,
    counts: [usize; 3],
    edge: Change<EdgeConfig>,
    worker: Change<WorkerConfig>,
    bridge: Change<BridgeConfig>,
}

impl Builder {
    pub(super) fn new() -> Self {
        let store = StoreSettings {
            lanes: LANES,
            max_bytes: STREAM_BYTES_MAX,
            lease_ttl: Duration::from_secs(2),
            short_windows: true,
            ..StoreSettings::default()
        };
        Self {
            seed: environment::seed(),
            store,
            stores: Vec::new(),
            nats: NatsChoice::One,
            kafka: KafkaChoice::Shared,
            placement: Placement::InProcess,
            functions: vec![FunctionChoice::Gate, FunctionChoice::Stats],
            limits: FunctionLimits::default(),
            counts: [2, 1, 1],
            edge: Box::new(|_, _| {}),
            worker: Box::new(|_, _| {}),
            bridge: Box::new(|_, _| {}),
        }
    }

    /// The number from which the test's random choices follow.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Changes the store's settings: lanes, windows, ages, lease time.
    pub fn store(mut self, change: impl FnOnce(&mut StoreSettings)) -> Self {
        change(&mut self.store);
        self
    }

    /// What kill tests want: EVENTS forgets ids after 100 ms, so that nothing leans on
    /// it, and leases expire within a second.
    pub fn hurried(self) -> Self {
        self.store(|store| {
            store.duplicate_window_events = Duration::from_millis(100);
            store.lease_ttl = Duration::from_secs(1);
        })
    }

    /// A store beside its own that the services may use; whoever wants it makes it.
    pub fn may_use(mut self, store: StoreName) -> Self {
        self.stores.push(store);
        self
    }

    /// Which NATS; on a cluster every stream and bucket has a copy on each server.
    pub fn nats(mut self, nats: NatsChoice) -> Self {
        self.nats = nats;
        self.store.replicas = match nats {
            NatsChoice::One => 1,
            NatsChoice::Three | NatsChoice::OnSmallDisk { .. } => SERVERS as u8,
        };
        self
    }

    /// Which Kafka; without one there is no bridge.
    pub fn kafka(mut self, kafka: KafkaChoice) -> Self {
        self.kafka = kafka;
        self
    }

    /// No Kafka and no bridge: nothing is judged of the mirror.
    pub fn without_mirror(self) -> Self {
        self.kafka(KafkaChoice::None).bridges(0)
    }

    /// Every instance is a child process, which can be killed and paused. Programs are
    /// those of `make build`.
    pub fn processes(mut self) -> Self {
        self.placement = Placement::Process;
        self
    }

    /// The functions; `Gate` and `Stats` unless set.
    pub fn functions(mut self, functions: &[FunctionChoice]) -> Self {
        self.functions = functions.to_vec();
        self
    }

    /// The limits of every function.
    pub fn limits(mut self, change: impl FnOnce(&mut FunctionLimits)) -> Self {
        change(&mut self.limits);
        self
    }

    /// Edge nodes; 2 unless set.
    pub fn edges(mut self, count: usize) -> Self {
        self.counts[0] = count;
        self
    }

    /// Workers; 1 unless set.
    pub fn workers(mut self, count: usize) -> Self {
        self.counts[1] = count;
        self
    }

    /// Bridges; 1 unless set.
    pub fn bridges(mut self, count: usize) -> Self {
        self.counts[2] = count;
        self
    }

    /// Changes the settings of each edge node, by its index: faults, limits.
    pub fn edge_config(mut self, change: impl Fn(usize, &mut EdgeConfig) + Send + 'static) -> Self {
        self.edge = Box::new(change);
        self
    }

    /// Changes the settings of each worker, by its index.
    pub fn worker_config(
        mut self,
        change: impl Fn(usize, &mut WorkerConfig) + Send + 'static,
    ) -> Self {
        self.worker = Box::new(change);
        self
    }

    /// Changes the settings of each bridge, by its index.
    pub fn bridge_config(
        mut self,
        change: impl Fn(usize, &mut BridgeConfig) + Send + 'static,
    ) -> Self {
        self.bridge = Box::new(change);
        self
    }

    /// Starts everything and waits until it serves. `None` when the test cannot run
    /// here and was counted as skipped.
    ///
    /// # Panics
    /// If anything does not start.
    pub async fn start(self) -> Option<Deployment> {
        let servers = Servers::start_with(self.nats, self.kafka, &self.stores).await?;
        Some(self.start_on(servers).await)
    }

    /// [`Builder::start`] on servers that run already.
    ///
    /// # Panics
    /// If anything does not start.
    pub async fn start_on(self, servers: Servers) -> Deployment {
        let nats = NatsSettings {
            url: servers.nats_url().to_owned(),
            ..NatsSettings::default()
        };
        let bus = Bus::connect(&nats, "harness")
            .await
            .expect("nats takes connections");
        let spec = store::make(&bus, &self.store).await;
        setup::namespaces(&bus, &self.store.name).await;
        let functions =
            setup::functions(&bus, &self.store.name, &self.functions, &self.limits).await;
        let secret = Secret::new(format!(
            "{:032x}{:032x}",
            rand::rng().random::<u128>(),
            self.seed
        ));
        let folder = tempfile::Builder::new()
            .prefix("eddyline-deployment-")
            .tempdir();
        let mut deployment = Deployment {
            edges: Vec::new(),
            workers: Vec::new(),
            bridges: Vec::new(),
            recorder: Recorder::new(),
            seed: self.seed,
            tenant: Tenant::parse(setup::TENANT).expect("a valid name"),
            store: spec,
            signer: Signer::new(&secret).expect("a long secret"),
            secret,
            // Tests share Kafka; topics and transactional ids keep them apart.
            token: format!("t{:012x}", rand::rng().random::<u64>() >> 16),
            functions,
            expectations: Default::default(),
            views: Vec::new(),
            ingress: Log::new(StreamName::ingress(&self.store.name)),
            events: Log::new(StreamName::events(&self.store.name)),
            bus,
            folder: folder.expect("the system has a place for temporary folders"),
            servers,
        };
        self.start_services(&mut deployment).await;
        deployment
    }

    async fn start_services(&self, deployment: &mut Deployment) {
        // First: edges read from them what the store no longer keeps.
        for index in 0..self.counts[2] {
            let mut config = deployment.bridge_config();
            (self.bridge)(index, &mut config);
            deployment
                .bridges
                .push(self.launch(deployment, "bridge", index, config).await);
        }
        for index in 0..self.counts[0] {
            let mut config = deployment.edge_config(index);
            (self.edge)(index, &mut config);
            deployment
                .edges
                .push(self.launch(deployment, "edge", index, config).await);
        }
        for index in 0..self.counts[1] {
            let mut config = deployment.worker_config(index);
            (self.worker)(index, &mut config);
            deployment
                .workers
                .push(self.launch(deployment, "worker", index, config).await);
        }
        for edge in &mut deployment.edges {
            edge.ready().await;
        }
        if self.counts[1] > 0 {
            deployment.lanes_owned().await;
        }
    }

    async fn launch<S: Service>(
        &self,
        deployment: &Deployment,
        kind: &str,
        index: usize,
        config: S,
    ) -> Instance<S> {
        let folder = deployment.folder.path().to_path_buf();
        let mut instance =
            Instance::new(&format!("{kind}-{index}"), config, self.placement, folder);
        instance.start().await;
        instance
    }
}

impl Deployment {
    /// Settings of an edge node of this deployment.
    pub fn edge_config(&self, index: usize) -> EdgeConfig {
        EdgeConfig {
            name: format!("edge-{index}"),
            nats: self.servers.nats_settings(Role::Edge),
            token_secret: self.secret.clone(),
            probe_interval_ms: 500,
            mirrors: self.mirrors(),
            ..EdgeConfig::default()
        }
    }

    /// Where edge nodes read what the store no longer keeps.
    fn mirrors(&self) -> Vec<MirrorSettings> {
        let bridge = self.bridges.first();
        let mirror = bridge.map(|bridge| MirrorSettings {
            store: self.store.name.clone(),
            grpc: bridge.address().to_string(),
            roots: None,
            token_secret: self.secret.clone(),
        });
        mirror.into_iter().collect()
    }

    /// Settings of a worker of this deployment.
    pub fn worker_config(&self, index: usize) -> WorkerConfig {
        WorkerConfig {
            nats: self.servers.nats_settings(Role::Worker),
            store: self.store.name.clone(),
            name: format!("worker-{index}-{}", self.token),
            claim_interval_ms: 200,
            compiled: Some(environment::compiled()),
            ..WorkerConfig::default()
        }
    }

    /// Starts another worker, in this process.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn add_worker(&mut self, index: usize) {
        let (config, folder) = (self.worker_config(index), self.folder.path().to_path_buf());
        let name = format!("worker-{index}");
        let mut worker = Instance::new(&name, config, Placement::InProcess, folder);
        worker.start().await;
        self.workers.push(worker);
    }

    /// Settings of a bridge of this deployment.
    pub fn bridge_config(&self) -> BridgeConfig {
        let mut config = BridgeConfig {
            nats: self.servers.nats_settings(Role::Bridge),
            store: self.store.name.clone(),
            deployment: self.token.clone(),
            token_secret: self.secret.clone(),
            ..BridgeConfig::default()
        };
        config.kafka.bootstrap = self.servers.kafka_bootstrap().to_owned();
        config.kafka.topic_prefix = self.token.clone();
        config.kafka.partitions = 2;
        if let Some(brokers) = self.servers.brokers() {
            config.kafka.bootstrap = brokers.proxied_bootstrap();
            config.kafka.replication = BROKERS as i32;
        }
        config
    }

    /// Waits until some worker owns every lane of every function: taking over a lane
    /// begins with a checkpoint.
    ///
    /// # Panics
    /// If that does not happen.
    pub async fn lanes_owned(&mut self) {
        let (bus, stream) = (self.bus.clone(), self.events.stream().clone());
        let subjects = self.checkpoints();
        let waited = wait::look("every lane has an owner", wait::DEADLINE, async || {
            for subject in &subjects {
                let last = bus
                    .last_on(&stream, subject)
                    .await
                    .map_err(|error| error.to_string())?;
                last.ok_or_else(|| format!("no checkpoint on {subject}"))?;
            }
            Ok(())
        });
        if let Err(problem) = waited.await {
            panic!("{problem}\n{}", self.describe());
        }
    }

    /// Where the checkpoints of every lane of every function stand.
    pub fn checkpoints(&self) -> Vec<Subject> {
        let functions = self.functions.iter();
        let lanes = functions.flat_map(|function| {
            let lanes = function.lanes(self.store.lanes);
            lanes.map(|lane| (Lane(lane), &function.name))
        });
        lanes
            .map(|(lane, name)| Subject::checkpoint(&self.store.name, lane, name))
            .collect()
    }

    /// The name of the store.
    pub fn store_name(&self) -> &StoreName {
        &self.store.name
    }
}
