//! One worker: a connection, a host, and an owner for every lane of every function
//! of its store.
//!
//! Owns the tasks of the lanes, and ends them before it ends itself.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bus::pulse::Pulse;
use bus::{Bus, Kv, directory};
use protocol::lane::Lane;
use protocol::name::FunctionName;
use protocol::stream::{Bucket, StreamName};
use rand::Rng;
use service::fault::Faults;
use service::listener;
use service::shutdown::Shutdown;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::config::{BATCH_EVENTS_MAX, WorkerConfig};
use crate::error::WorkerError;
use crate::lane::owner::Owner;
use crate::lane::shared::Shared;
use crate::registry::{Change, Registry};
use crate::status::{Status, WorkerStatus};
use host::Host;
use host::module::Program;

/// How long lanes may take to commit and release at a shutdown. What is not done
/// then is done by the next owner.
const DRAIN_DEADLINE: Duration = Duration::from_secs(10);
/// Room that headers take beside an event's data in a NATS message: the most that
/// user headers may be, our own, and those of a dead letter.
const HEADERS_BYTES_MAX: usize = 32 << 10;

/// A worker that has started.
pub struct Worker {
    shared: Arc<Shared>,
    view: WorkerStatus,
    health: SocketAddr,
    leasing: Bus,
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
    check(&config)?;
    let faults = Faults::parse(&config.faults)?;
    let name = name(&config);
    let bus = Bus::connect(&config.nats, &name).await?;
    // Leases have a connection of their own: behind what the lanes read, megabytes each,
    // a renewal would come too late.
    let leasing = Bus::connect(&config.nats, &format!("{name} leases")).await?;
    let store = directory::store(&bus, &config.store).await?;
    let (leases, functions) = (
        leasing.kv(Bucket::Leases).await?,
        bus.kv(Bucket::Functions).await?,
    );
    let pulse = Pulse::start(
        bus.clone(),
        StreamName::events(&store.name),
        shutdown.clone(),
    );
    let host = Host::start(
        config.guest_threads,
        bus.max_payload().saturating_sub(HEADERS_BYTES_MAX),
    )?;
    let status = Arc::new(Status::default());
    let view = WorkerStatus::new(status.clone(), bus.connected(), pulse);
    let health = serve_health(config.health, view.clone(), shutdown.clone()).await?;
    tracing::info!(worker = name, %health, "health and metrics");
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
        view,
        health,
        leasing,
        leases,
        functions,
        name,
        claim_interval,
        shutdown,
    })
}

fn check(config: &WorkerConfig) -> Result<(), WorkerError> {
    let events = config.batch_events;
    if (1..=BATCH_EVENTS_MAX).contains(&events) {
        return Ok(());
    }
    Err(WorkerError::Setting {
        field: "batch_events",
        problem: format!("{events} is not within 1 to {BATCH_EVENTS_MAX}"),
    })
}

fn name(config: &WorkerConfig) -> String {
    match config.name.as_str() {
        "" => format!(
            "worker-{}-{:08x}",
            std::process::id(),
            rand::rng().random::<u32>()
        ),
        name => name.to_owned(),
    }
}

async fn serve_health(
    addr: SocketAddr,
    view: WorkerStatus,
    stop: Shutdown,
) -> Result<SocketAddr, WorkerError> {
    let waiting = Arc::new(move || view.waiting());
    let served = listener::serve(addr, waiting, stop).await;
    served.map_err(|source| WorkerError::Health { addr, source })
}

impl Worker {
    /// A view that outlives [`Worker::run`].
    pub fn status(&self) -> WorkerStatus {
        self.view.clone()
    }

    /// Where health and metrics are served.
    pub fn health_addr(&self) -> SocketAddr {
        self.health
    }

    /// Runs every function of the store on whichever lanes it can own, until the
    /// shutdown; then commits, releases and ends within ten seconds.
    ///
    /// # Errors
    /// [`WorkerError`] when functions cannot be followed at first; later it is tried again
    /// until it succeeds, and what runs goes on meanwhile.
    pub async fn run(self) -> Result<(), WorkerError> {
        let mut registry = Registry::new(self.shared.clone(), self.functions.clone()).await?;
        let mut running: BTreeMap<FunctionName, Running> = BTreeMap::new();
        let mut lanes = JoinSet::new();
        tracing::info!(worker = self.name, store = %self.shared.store.name, "worker runs");
        loop {
            // The registry is not cancel safe, but it is only cancelled to end here.
            let change = tokio::select! {
                change = registry.next() => change,
                () = self.shutdown.triggered() => break,
            };
            while lanes.try_join_next().is_some() {}
            match change {
                Change::Program(program) => self.deploy(program, &mut running, &mut lanes),
                Change::Gone(name) => self.withdraw(&name, &mut running),
            }
        }
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
        tokio::join!(self.leasing.drain(), self.shared.bus.drain());
        tracing::info!(worker = self.name, "worker has ended");
        Ok(())
    }

    fn deploy(
        &self,
        program: Arc<Program>,
        running: &mut BTreeMap<FunctionName, Running>,
        lanes: &mut JoinSet<()>,
    ) {
        let name = program.spec.name.clone();
        let digest = program.spec.digest.clone();
        self.shared.status.runs(name.clone(), digest);
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
        self.shared.status.runs_no_more(name);
        if let Some(function) = running.remove(name) {
            tracing::info!(function = %name, "function is withdrawn");
            function.stop.trigger();
        }
    }
}
