//! One worker: a connection, a host, and an owner for every lane of every function
//! of its store.
//!
//! Owns the tasks of the lanes, and ends them before it ends itself.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bus::{Bus, Kv};
use metrics::Gauge;
use parking_lot::Mutex;
use protocol::checkpoint::Digest;
use protocol::lane::Lane;
use protocol::name::FunctionName;
use protocol::spec::{StoreSpec, key};
use protocol::stream::Bucket;
use rand::Rng;
use service::fault::Faults;
use service::shutdown::Shutdown;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::config::{BATCH_EVENTS_MAX, WorkerConfig};
use crate::error::WorkerError;
use crate::lane::owner::Owner;
use crate::lane::run::Shared;
use crate::registry::{Change, Registry};
use host::Host;
use host::module::Program;

/// How long lanes may take to commit and release at a shutdown. What is not done
/// then is done by the next owner.
const DRAIN_DEADLINE: Duration = Duration::from_secs(10);
/// Room that headers take beside an event's data in a NATS message: the most that
/// user headers may be, our own, and those of a dead letter.
const HEADERS_BYTES_MAX: usize = 32 << 10;

/// What a worker shows of itself.
#[derive(Debug, Default)]
pub struct Status {
    owned: AtomicUsize,
    halted: AtomicUsize,
    functions: Mutex<BTreeMap<FunctionName, Digest>>,
}

/// Counts for as long as it lives.
#[derive(Debug)]
pub struct Counted {
    status: Arc<Status>,
    counter: fn(&Status) -> &AtomicUsize,
    gauge: Option<Gauge>,
}

impl Status {
    /// One more lane is owned.
    pub fn owned(self: &Arc<Self>) -> Counted {
        Counted::new(self, |status| &status.owned, None)
    }

    /// One more lane is halted, shown by its gauge.
    pub fn halted(self: &Arc<Self>, gauge: Gauge) -> Counted {
        Counted::new(self, |status| &status.halted, Some(gauge))
    }
}

impl Counted {
    fn new(
        status: &Arc<Status>,
        counter: fn(&Status) -> &AtomicUsize,
        gauge: Option<Gauge>,
    ) -> Self {
        counter(status).fetch_add(1, Ordering::Relaxed);
        let counted = Self {
            status: status.clone(),
            counter,
            gauge,
        };
        counted.show(1.0);
        counted
    }

    fn show(&self, own: f64) {
        match &self.gauge {
            Some(gauge) => gauge.set(own),
            None => {
                metrics::gauge!("lanes_owned").set(self.status.owned.load(Ordering::Relaxed) as f64)
            }
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        (self.counter)(&self.status).fetch_sub(1, Ordering::Relaxed);
        self.show(0.0);
    }
}

/// A view of a running worker that outlives it.
#[derive(Debug, Clone)]
pub struct WorkerStatus(Arc<Status>);

impl WorkerStatus {
    /// Lanes that this worker runs now, over all functions.
    pub fn lanes_owned(&self) -> usize {
        self.0.owned.load(Ordering::Relaxed)
    }

    /// Lanes on which a function has halted.
    pub fn lanes_halted(&self) -> usize {
        self.0.halted.load(Ordering::Relaxed)
    }

    /// The functions that are compiled and running, with their modules.
    pub fn functions(&self) -> Vec<(FunctionName, Digest)> {
        self.0
            .functions
            .lock()
            .iter()
            .map(|(name, digest)| (name.clone(), digest.clone()))
            .collect()
    }
}

/// A worker that has started.
pub struct Worker {
    shared: Arc<Shared>,
    leases: Kv,
    functions: Kv,
    name: String,
    claim_interval: Duration,
    shutdown: Shutdown,
}

struct Running {
    program: watch::Sender<Arc<Program>>,
    stop: Shutdown,
}

/// Connects and starts the host; [`Worker::run`] does the work.
///
/// # Errors
/// [`WorkerError`] names the setting, the store or what NATS says.
pub async fn start(config: WorkerConfig, shutdown: Shutdown) -> Result<Worker, WorkerError> {
    if !(1..=BATCH_EVENTS_MAX).contains(&config.batch_events) {
        let problem = format!(
            "{} is not within 1 to {BATCH_EVENTS_MAX}",
            config.batch_events
        );
        return Err(WorkerError::Setting {
            field: "batch_events",
            problem,
        });
    }
    let faults = Faults::parse(&config.faults)?;
    let name = match config.name.as_str() {
        "" => format!(
            "worker-{}-{:08x}",
            std::process::id(),
            rand::rng().random::<u32>()
        ),
        name => name.to_owned(),
    };
    let bus = Bus::connect(&config.nats, &name).await?;
    let store = read_store(&bus, &config).await?;
    let (leases, functions) = (
        bus.kv(Bucket::Leases).await?,
        bus.kv(Bucket::Functions).await?,
    );
    let host = Host::start(
        config.guest_threads,
        bus.max_payload().saturating_sub(HEADERS_BYTES_MAX),
    )?;
    let status = Arc::new(Status::default());
    let shared = Shared {
        bus,
        store,
        host,
        batch_events: config.batch_events,
        faults,
        status,
    };
    let claim_interval = Duration::from_millis(config.claim_interval_ms.max(1));
    Ok(Worker {
        shared: Arc::new(shared),
        leases,
        functions,
        name,
        claim_interval,
        shutdown,
    })
}

async fn read_store(bus: &Bus, config: &WorkerConfig) -> Result<StoreSpec, WorkerError> {
    let store = || config.store.clone();
    let entry = bus
        .kv(Bucket::Config)
        .await?
        .get(&key::store(&config.store))
        .await?;
    let (json, _) = entry.ok_or_else(|| WorkerError::NoStore { store: store() })?;
    let spec: StoreSpec = serde_json::from_slice(&json).map_err(|error| WorkerError::Spec {
        store: store(),
        problem: error.to_string(),
    })?;
    spec.check().map_err(|error| WorkerError::Spec {
        store: store(),
        problem: error.to_string(),
    })?;
    Ok(spec)
}

impl Worker {
    /// A view that outlives [`Worker::run`].
    pub fn status(&self) -> WorkerStatus {
        WorkerStatus(self.shared.status.clone())
    }

    /// Runs every function of the store on whichever lanes it can own, until the
    /// shutdown; then commits, releases and ends within ten seconds.
    ///
    /// # Errors
    /// [`WorkerError`] when functions can no longer be followed.
    pub async fn run(self) -> Result<(), WorkerError> {
        let watch = self.functions.watch_all().await?;
        let mut registry = Registry::new(self.shared.clone(), watch);
        let mut running: BTreeMap<FunctionName, Running> = BTreeMap::new();
        let mut lanes = JoinSet::new();
        tracing::info!(worker = self.name, store = %self.shared.store.name, "worker runs");
        let result = loop {
            // The registry is not cancel safe, but it is only cancelled to end here.
            let change = tokio::select! {
                change = registry.next() => change,
                () = self.shutdown.triggered() => break Ok(()),
            };
            while lanes.try_join_next().is_some() {}
            match change {
                Some(Change::Program(program)) => self.deploy(program, &mut running, &mut lanes),
                Some(Change::Gone(name)) => self.withdraw(&name, &mut running),
                None => break Err(WorkerError::FunctionsGone),
            }
        };
        running
            .values()
            .for_each(|function| function.stop.trigger());
        let drained = tokio::time::timeout(DRAIN_DEADLINE, async {
            while lanes.join_next().await.is_some() {}
        })
        .await;
        if drained.is_err() {
            tracing::warn!(
                worker = self.name,
                left = lanes.len(),
                "lanes did not end in time and are left to the next owner"
            );
            lanes.shutdown().await;
        }
        self.shared.bus.drain().await;
        tracing::info!(worker = self.name, "worker has ended");
        result
    }

    fn deploy(
        &self,
        program: Arc<Program>,
        running: &mut BTreeMap<FunctionName, Running>,
        lanes: &mut JoinSet<()>,
    ) {
        let name = program.spec.name.clone();
        self.shared
            .status
            .functions
            .lock()
            .insert(name.clone(), program.spec.digest.clone());
        if let Some(function) = running.get(&name) {
            function.program.send_replace(program);
            return;
        }
        let stop = self.shutdown.child();
        let (sender, receiver) = watch::channel(program);
        for lane in 0..self.shared.store.lanes {
            let owner = Owner {
                shared: self.shared.clone(),
                leases: self.leases.clone(),
                name: self.name.clone(),
                claim_interval: self.claim_interval,
                lane: Lane(lane),
                program: receiver.clone(),
                stop: stop.clone(),
            };
            lanes.spawn(owner.run());
        }
        running.insert(
            name,
            Running {
                program: sender,
                stop,
            },
        );
    }

    fn withdraw(&self, name: &FunctionName, running: &mut BTreeMap<FunctionName, Running>) {
        self.shared.status.functions.lock().remove(name);
        if let Some(function) = running.remove(name) {
            tracing::info!(function = %name, "function is withdrawn");
            function.stop.trigger();
        }
    }
}
