//! The way to NATS, gone only when something needs it: a plan of what is new does not.
//!
//! Owns the connection, and what this run has planned so far: one resource is judged beside
//! the others that were planned before it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bus::Bus;
use control::{Deployer, Entry, Pending};
use protocol::name::Namespace;
use protocol::spec::{FunctionSpec, NamespaceSpec, StoreSpec};
use tokio::sync::OnceCell;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::diagnostic::Diagnostic;
use crate::settings::{Settings, Way, of_dev};

/// As what the provider is known to NATS.
const NAME: &str = "terraform";
/// Longest wait for a connection: NATS answers at once, or is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The way to NATS.
#[derive(Default)]
pub struct Connection {
    settings: OnceCell<Settings>,
    deployer: OnceCell<Deployer>,
    pending: Mutex<Pending>,
    stopped: CancellationToken,
}

impl Connection {
    /// Says where NATS is; the first word counts.
    pub fn configure(&self, settings: Settings) {
        // An error means that it was said before.
        let _ = self.settings.set(settings);
    }

    /// Lets nothing wait any longer.
    pub fn stop(&self) {
        self.stopped.cancel();
    }

    /// Whoever deploys, connected.
    ///
    /// # Errors
    /// It is not known where NATS is, it cannot be reached, or Terraform has been
    /// interrupted. Cancel safe.
    pub async fn deployer(&self) -> Result<Deployer, Diagnostic> {
        tokio::select! {
            biased;
            () = self.stopped.cancelled() => Err(Diagnostic::error("interrupted", "")),
            deployer = self.deployer.get_or_try_init(|| self.connect()) => deployer.cloned(),
        }
    }

    async fn connect(&self) -> Result<Deployer, Diagnostic> {
        let unknown = || {
            let detail = "The provider's configuration depends on what has not been applied yet.";
            Diagnostic::error("it is not known yet where NATS is", detail)
        };
        let settings = self.settings.get().ok_or_else(unknown)?;
        let nats = match &settings.way {
            Way::Unknown => return Err(unknown()),
            Way::Given(nats) => nats.clone(),
            Way::Dev(name) => of_dev(name.as_deref())?,
        };
        let connected = timeout(CONNECT_TIMEOUT, Bus::connect(&nats, NAME)).await;
        let bus = match connected {
            Ok(bus) => bus.map_err(Diagnostic::from)?,
            Err(_) => {
                let seconds = CONNECT_TIMEOUT.as_secs();
                let summary = format!("NATS: no answer within {seconds} s");
                return Err(Diagnostic::error(
                    summary,
                    "Apply again when it can be reached.",
                ));
            }
        };
        Ok(Deployer::new(&bus, settings.by.clone()).compiled(running::compiled()))
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        // What is planned is put there whole.
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What this run has planned so far.
    pub fn pending(&self) -> Pending {
        self.lock().clone()
    }

    /// A store is planned.
    pub fn expect_store(&self, spec: StoreSpec) {
        let name = spec.name.clone();
        self.lock().there.stores.insert(name, spec);
    }

    /// A namespace is planned.
    pub fn expect_namespace(&self, spec: NamespaceSpec) {
        let (name, revision) = (spec.name.clone(), 0);
        let entry = Entry { spec, revision };
        self.lock().there.namespaces.insert(name, entry);
    }

    /// A namespace is planned to go before it comes anew.
    pub fn leave_namespace(&self, name: Namespace) {
        self.lock().gone.insert(name);
    }

    /// A function is planned.
    pub fn expect_function(&self, spec: FunctionSpec) {
        let (name, revision) = (spec.name.clone(), 0);
        let entry = Entry { spec, revision };
        self.lock().there.functions.insert(name, entry);
    }
}

/// What a plan says that could not ask: what it has not judged.
pub fn unasked(why: &Diagnostic) -> Diagnostic {
    let detail = format!(
        "{}. What follows from what is there already (other functions, namespaces, stores) is \
         judged when this is applied.",
        why.summary
    );
    Diagnostic::warning("planned without asking NATS", detail)
}
