//! The whole of Eddyline on this machine: NATS and Kafka as child processes, and
//! beside them, in this process, any number of edge nodes, a worker and a bridge. Kafka
//! and the bridge can be left out: a stack without mirror.
//!
//! [`Stack`] owns the servers, the services' tasks and the bus that it was set up
//! with. `eddyline dev`, `eddyline demo` and tests start it. Must not know what is
//! published through it, nor how its state is printed.
//!
//! - `options`, `error`: what is wanted, and why it was not had
//! - `setup`: store, namespaces, functions
//! - `servers`: starting NATS and Kafka, and starting each again when it dies
//! - `services`: the services, and whether they serve; `part`: one of them, looked
//!   after; `backoff`: how long to wait before the next try
//! - `secret`: the secret that signs tokens
//! - `users`: as whom each service connects to NATS
//! - `status`: what the stack is doing

mod backoff;
mod error;
mod options;
mod part;
mod secret;
mod servers;
mod services;
mod setup;
mod status;
mod users;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use auth::Signer;
use bus::Bus;
use protocol::name::{Tenant, User};
use protocol::secret::Secret;
use service::shutdown::Shutdown;
use service::telemetry;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

pub use error::StackError;
pub use options::{EDGE_PORTS, OnStep, StackOptions};
pub use status::Status;
pub use users::nats_users;

use servers::Servers;
use services::Services;
use setup::Setup;

/// News that wait to be told; whoever has more waits.
const NOTES: usize = 64;

/// How long services may drain before the servers are stopped under them.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(15);
/// The same while a server does not run: what cannot be stored or mirrored will not be by
/// waiting for it, and clients are told at once.
const DRAIN_TIMEOUT_DOWN: Duration = Duration::from_secs(2);

/// Tells all services to end when it is dropped, also by a start that failed.
struct Ending(Shutdown);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.trigger();
    }
}

/// A running stack. [`Stack::stop`] ends it in order; dropping it kills the
/// servers and lets the services end on their own.
pub struct Stack {
    /// WebSocket and HTTP address of each edge node.
    pub edges: Vec<SocketAddr>,
    /// Where each edge node shows health and metrics.
    pub health: Vec<SocketAddr>,
    /// Address of the bridge's gRPC, if there is a mirror.
    pub grpc: Option<SocketAddr>,
    /// Address of NATS, with what people need to use it.
    pub nats: String,
    /// Address of Kafka, if there is a mirror.
    pub kafka: Option<String>,
    /// The secret that signs tokens.
    pub secret: Secret,
    signer: Signer,
    /// What did not serve when the stack was started, and why.
    pub troubles: Vec<String>,
    notes: mpsc::Receiver<String>,
    services: Services,
    bus: Bus,
    /// Makes what could not be made at first.
    setting_up: JoinSet<()>,
    shutdown: Ending,
    // Last, so that the servers outlive everything that uses them.
    servers: Servers,
}

impl std::fmt::Debug for Stack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stack")
            .field("edges", &self.edges)
            .field("grpc", &self.grpc)
            .finish_non_exhaustive()
    }
}

impl Stack {
    /// Checks prerequisites, fetches and starts the servers, sets up the store,
    /// its namespaces and functions, starts the services, and returns when all of
    /// them serve, or it is known that one does not: that is in `troubles`, and the
    /// others serve. What could not be set up is tried again meanwhile. Each step is told to `on_step`. If the future is dropped, what was
    /// started ends on its own.
    ///
    /// # Errors
    /// [`StackError`] names the step; missing prerequisites come first, all together.
    pub async fn start(options: StackOptions, on_step: OnStep) -> Result<Self, StackError> {
        let folder = options.functions.as_deref();
        let modules = match options.examples {
            true => Some(setup::modules(folder)?),
            false => None,
        };
        let secret = secret::load_or_make(options.data.as_deref())?;
        let signer = Signer::new(&secret)?;
        // Services look up their meters when they start.
        telemetry::metrics_handle();
        let bound = services::Bound::new(&options).await?;
        let (tell, notes) = mpsc::channel(NOTES);
        let servers = Servers::start(&options, Arc::clone(&on_step), tell.clone()).await?;
        on_step("setting up the store");
        let bus = Bus::connect(&servers.nats.operator(), "eddyline-dev").await?;
        let (mut setup, deployed) = Setup::new(&bus, &options, modules);
        let mut troubles = setup.attempt().await;
        on_step("starting the services");
        let shutdown = Ending(Shutdown::new());
        let wanted = services::Wanted {
            nats: servers.nats.clone(),
            kafka: servers.kafka.clone(),
            secret: secret.clone(),
            lanes: options.lanes,
            deployed,
        };
        let services = Services::start(wanted, bound, &shutdown.0, &tell);
        let lacks = services.ready(troubles.is_empty()).await;
        let mut setting_up = JoinSet::new();
        setting_up.spawn(setup.complete(troubles.clone(), tell));
        troubles.extend(lacks);
        Ok(Self {
            edges: services.edges.clone(),
            health: services.health.clone(),
            grpc: services.grpc,
            nats: servers.nats.address(),
            kafka: servers.kafka.clone(),
            secret,
            signer,
            troubles,
            notes,
            services,
            bus,
            setting_up,
            shutdown,
            servers,
        })
    }

    /// Makes a token for this stack.
    pub fn token(&self, tenant: &Tenant, user: &User, scopes: &[&str], ttl: Duration) -> String {
        self.signer.mint(tenant, user, scopes, ttl)
    }

    /// Processes of NATS and of Kafka when they were started; `None` for one that was given to us running.
    pub fn processes(&self) -> [Option<u32>; 2] {
        self.servers.processes
    }

    /// What the stack is doing now.
    ///
    /// # Errors
    /// The store cannot be asked; temporary.
    pub async fn status(&self) -> Result<Status, StackError> {
        status::read(&self.bus, &self.services).await
    }

    /// What has halted by now, in words: functions, or the mirror of a stream. Somebody
    /// has to see to it; the rest serves.
    pub fn halted(&self) -> Vec<String> {
        self.services.halted()
    }

    /// The next thing that happened: a server or a service has ended or does not start,
    /// is started again, runs again. All of them are looked after whether or not this is
    /// called, each on its own; but news that nobody takes hold up the one that has them.
    /// Cancel safe.
    pub async fn news(&mut self) -> String {
        match self.notes.recv().await {
            Some(text) => text,
            // Nobody is left who could have news.
            None => std::future::pending().await,
        }
    }

    /// Stops the services, each draining what it has, then the servers. Takes at
    /// most `DRAIN_TIMEOUT` and what the servers take; a server that is being started
    /// again is not waited for.
    ///
    /// # Errors
    /// A server could not be stopped in order; it is killed then.
    pub async fn stop(mut self) -> Result<(), StackError> {
        self.shutdown.0.trigger();
        // Whoever has news now shall not wait for somebody to take them.
        self.notes.close();
        self.setting_up.shutdown().await;
        let limit = match self.servers.give_up().await? {
            true => DRAIN_TIMEOUT_DOWN,
            false => DRAIN_TIMEOUT,
        };
        let drained = tokio::time::timeout(limit, async {
            self.services.drain().await;
            self.bus.drain().await;
        });
        if drained.await.is_err() {
            tracing::warn!("services did not drain in time");
        }
        self.servers.stop().await
    }
}
