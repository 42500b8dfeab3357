//! One worker: its connections, its host, and what follows the functions of its store.
//!
//! Owns the connections, and drains them when the lanes have ended.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bus::pulse::Pulse;
use bus::{Bus, Kv, ReaderOptions, directory};
use protocol::header::HEADERS_BYTES_MAX;
use protocol::stream::{Bucket, StreamName};
use rand::Rng;
use service::fault::Faults;
use service::listener;
use service::shutdown::Shutdown;
use tokio::sync::mpsc;

use crate::config::{BATCH_EVENTS_MAX, WorkerConfig};
use crate::error::WorkerError;
use crate::fleet::{self, Crew};
use crate::intake::Intakes;
use crate::lane::kept;
use crate::lane::shared::Shared;
use crate::logs::{self, Keeper};
use crate::registry::Registry;
use crate::request::{self, Requests};
use crate::status::{Status, WorkerStatus};
use host::{Host, HostConfig};

/// Changes of functions that wait to be taken up. Policy: the registry waits.
const CHANGES_MAX: usize = 16;
/// Bytes of one pull of a reader; two of them may wait.
const READ_BYTES: usize = 2 << 20;
/// Longest name of a worker, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// A worker that has started.
pub struct Worker {
    crew: Crew,
    view: WorkerStatus,
    health: SocketAddr,
    leasing: Bus,
    functions: Kv,
    logs: Keeper,
    shutdown: Shutdown,
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
    // Reports and claims have a connection of their own: behind what the lanes read,
    // megabytes each, a report would come too late.
    let leasing = Bus::connect(&config.nats, &format!("{name} claims")).await?;
    let store = directory::store(&bus, &config.store).await?;
    let (workers, lanes) = (
        leasing.kv(Bucket::Workers).await?,
        leasing.kv(Bucket::Lanes).await?,
    );
    let functions = bus.kv(Bucket::Functions).await?;
    let judged = leasing.kv(Bucket::Functions).await?;
    let pulse = Pulse::start(
        bus.clone(),
        StreamName::events(&store.name),
        shutdown.clone(),
    );
    let host = HostConfig {
        threads: config.guest_threads,
        event_bytes_max: bus.max_payload().saturating_sub(HEADERS_BYTES_MAX),
        compiled: config.compiled.clone(),
    };
    let (sink, logs) = logs::keep(bus.clone(), store.name.clone(), name.clone());
    let host = Host::configured(&host, sink)?;
    let status = Arc::new(Status::default());
    let view = WorkerStatus::new(status.clone(), bus.connected(), pulse);
    let health = serve_health(config.health, view.clone(), shutdown.clone()).await?;
    tracing::info!(worker = name, %health, "health and metrics");
    let kept = |stream| kept::follow(bus.clone(), stream, shutdown.clone());
    let (ingress, events) = (
        kept(StreamName::ingress(&store.name)),
        kept(StreamName::events(&store.name)),
    );
    let read = ReaderOptions {
        batch: config.batch_events * 2,
        bytes_max: READ_BYTES,
    };
    let shared = Shared {
        intakes: Intakes::new(bus.clone(), read),
        bus,
        store,
        host,
        batch_events: config.batch_events,
        faults,
        status,
        ingress,
        events,
    };
    let crew = Crew {
        shared: Arc::new(shared),
        workers,
        lanes,
        functions: judged,
        name,
        grace: Duration::from_millis(config.claim_interval_ms.max(1)),
    };
    Ok(Worker {
        crew,
        view,
        health,
        leasing,
        functions,
        logs,
        shutdown,
    })
}

fn check(config: &WorkerConfig) -> Result<(), WorkerError> {
    let events = config.batch_events;
    if !(1..=BATCH_EVENTS_MAX).contains(&events) {
        return Err(WorkerError::Setting {
            field: "batch_events",
            problem: format!("{events} is not within 1 to {BATCH_EVENTS_MAX}"),
        });
    }
    // It is part of a key in `WORKERS`.
    let name = config.name.as_bytes();
    let fine = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_".contains(byte);
    if name.len() > NAME_BYTES_MAX || !name.iter().all(fine) {
        return Err(WorkerError::Setting {
            field: "name",
            problem: format!(
                "is not at most {NAME_BYTES_MAX} letters, digits, hyphens and underscores"
            ),
        });
    }
    Ok(())
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

    /// Runs every function of the store on whichever lanes are its own, until the
    /// shutdown; then commits, gives them back and ends within ten seconds.
    ///
    /// # Errors
    /// [`WorkerError`] when functions cannot be followed at first; later it is tried again
    /// until it succeeds, and what runs goes on meanwhile.
    pub async fn run(self) -> Result<(), WorkerError> {
        let (worker, shared) = (self.crew.name.clone(), self.crew.shared.clone());
        let mut registry = Registry::new(shared.clone(), self.functions.clone()).await?;
        let (requests, asking) = Requests::new(shared.clone(), self.functions);
        let answering = tokio::spawn(requests.run(self.shutdown.clone()));
        tracing::info!(worker, store = %shared.store.name, "worker runs");
        let (sender, changes) = mpsc::channel(CHANGES_MAX);
        let following = tokio::spawn(async move {
            loop {
                let change = registry.next().await;
                request::heard(&asking, &change).await;
                if sender.send(change).await.is_err() {
                    return;
                }
            }
        });
        fleet::run(self.crew, changes, self.shutdown).await;
        following.abort();
        // It ends with the same shutdown; what it was asked is answered by now.
        let _ = answering.await;
        self.logs.finish().await;
        tokio::join!(self.leasing.drain(), shared.bus.drain());
        tracing::info!(worker, "worker has ended");
        Ok(())
    }
}
