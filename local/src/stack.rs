//! The whole of Eddyline on this machine: NATS and Kafka as child processes, and
//! beside them, in this process, any number of edge nodes, a worker and a bridge.
//!
//! [`Stack`] owns the servers, the services' tasks and the bus that it was set up
//! with. `eddyline dev`, `eddyline demo` and tests start it. Must not know what is
//! published through it, nor how its state is printed.
//!
//! - `options`, `error`: what is wanted, and why it was not had
//! - `setup`: store, namespaces, functions
//! - `servers`: starting NATS and Kafka, and starting them again when they die
//! - `services`: starting the services, and waiting until they serve
//! - `secret`: the secret that signs tokens
//! - `users`: as whom each service connects to NATS
//! - `status`: what the stack is doing

mod error;
mod options;
mod secret;
mod servers;
mod services;
mod setup;
mod status;
mod users;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use auth::Authenticator;
use bus::Bus;
use protocol::name::{StoreName, Tenant, User};
use protocol::secret::Secret;
use service::shutdown::Shutdown;
use service::telemetry;

pub use error::StackError;
pub use options::{EDGE_PORTS, OnStep, StackOptions};
pub use services::ServiceEnd;
pub use status::Status;
pub use users::nats_users;

use servers::Servers;
use services::Services;

/// The store that everything here lives in.
const STORE: &str = "main";

/// How long services may drain before the servers are stopped under them.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(15);

fn store() -> StoreName {
    StoreName::parse(STORE).expect("a valid name")
}

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
    /// Address of the bridge's gRPC.
    pub grpc: SocketAddr,
    /// Address of NATS, with what people need to use it.
    pub nats: String,
    /// Address of Kafka.
    pub kafka: String,
    /// The secret that signs tokens.
    pub secret: Secret,
    authenticator: Authenticator,
    services: Services,
    bus: Bus,
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
    /// them serve. Each step is told to `on_step`. If the future is dropped, what
    /// was started ends on its own.
    ///
    /// # Errors
    /// [`StackError`] names the step; missing prerequisites come first, all together.
    pub async fn start(options: StackOptions, on_step: OnStep) -> Result<Self, StackError> {
        let modules = setup::modules(options.functions.as_deref())?;
        let secret = secret::load_or_make(options.data.as_deref())?;
        let authenticator = Authenticator::new(&secret)?;
        // Services look up their meters when they start.
        telemetry::metrics_handle();
        let listeners = services::Listeners::bind(&options).await?;
        let servers = Servers::start(&options, Arc::clone(&on_step)).await?;
        on_step("setting up the store and its functions");
        let bus = Bus::connect(&servers.nats.operator(), "eddyline-dev").await?;
        setup::setup(&bus, options.lanes, modules).await?;
        on_step("starting the edge nodes, the worker and the bridge");
        let shutdown = Ending(Shutdown::new());
        let wanted = services::Wanted {
            nats: servers.nats.clone(),
            kafka: servers.kafka.clone(),
            secret: secret.clone(),
            lanes: options.lanes,
        };
        let services = Services::start(wanted, listeners, &shutdown.0).await?;
        services.ready().await?;
        Ok(Self {
            edges: services.edges.clone(),
            grpc: services.grpc,
            nats: servers.nats.address(),
            kafka: servers.kafka.clone(),
            secret,
            authenticator,
            services,
            bus,
            shutdown,
            servers,
        })
    }

    /// Makes a token for this stack.
    pub fn token(&self, tenant: &Tenant, user: &User, scopes: &[&str], ttl: Duration) -> String {
        self.authenticator.mint(tenant, user, scopes, ttl)
    }

    /// Processes of NATS and of Kafka; `None` for one that was given to us running.
    pub fn processes(&self) -> [Option<u32>; 2] {
        self.servers.processes()
    }

    /// What the stack is doing now.
    ///
    /// # Errors
    /// The store cannot be asked; temporary.
    pub async fn status(&self) -> Result<Status, StackError> {
        status::read(&self.bus, &self.services).await
    }

    /// Watches over everything: a server that dies is started again on its port and
    /// data, and told to `note`. Returns when a service has ended although nobody
    /// stopped it, or a server cannot be started again. Cancel safe: what is under
    /// way goes on, and the next call sees to it.
    pub async fn watch(&mut self, note: impl Fn(&str)) -> ServiceEnd {
        // Both branches are cancel safe, as they say themselves.
        tokio::select! {
            end = self.services.ended() => end,
            end = self.servers.keep_alive(note) => end,
        }
    }

    /// Stops the services, each draining what it has, then the servers. Takes at
    /// most `DRAIN_TIMEOUT` and what the servers take.
    ///
    /// # Errors
    /// A server could not be stopped in order; it is killed then.
    pub async fn stop(mut self) -> Result<(), StackError> {
        self.shutdown.0.trigger();
        let drained = tokio::time::timeout(DRAIN_TIMEOUT, self.services.drain()).await;
        if drained.is_err() {
            tracing::warn!("services did not drain in time");
        }
        self.bus.drain().await;
        self.servers.stop().await
    }
}
