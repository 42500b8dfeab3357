//! The servers under a test: a NATS server of its own, which starts in a blink, and
//! Kafka, which takes seconds and is shared by all tests of a process unless one
//! wants to break it.
//!
//! Owns the servers. The shared Kafka lives as long as the process and ends with it;
//! its folder is removed by the next process that starts one.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use devstack::fetch::{self, Progress};
use devstack::prerequisites::{self, Scope};
use devstack::{Config, DevstackError, KafkaOptions, KafkaServer, NatsOptions, NatsServer};
use local::stack::nats_users;

use bus::bootstrap::StoreSettings;
use protocol::permission::Role;
use protocol::secret::Secret;
use service::settings::NatsSettings;

use crate::environment;

/// Which Kafka a test needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KafkaChoice {
    /// None.
    None,
    /// The one that all tests of this process share.
    Shared,
    /// One that this test may stop, kill or pause.
    Own,
}

/// What a test runs on.
#[derive(Debug, Clone)]
pub struct Servers {
    nats: Arc<Mutex<NatsServer>>,
    nats_url: String,
    kafka: Option<Broker>,
}

#[derive(Debug, Clone)]
struct Broker {
    /// `None` for one that was given to us running.
    server: Option<Arc<Mutex<KafkaServer>>>,
    bootstrap: String,
    own: bool,
}

/// The Kafka that tests of this process share.
static SHARED: Mutex<Option<Broker>> = Mutex::new(None);
/// Tests of this process that could not run.
static SKIPPED: AtomicUsize = AtomicUsize::new(0);
/// Of every service's NATS user; whoever gives no name is the operator.
const PASSWORD: &str = "harness";
/// First part of the name of the shared Kafka's folder; the rest is our process id.
const FOLDER_PREFIX: &str = "kafka-";

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A test that panicked in a call left a server behind that can still be stopped.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Servers {
    /// Starts what a test needs. `None`, with a line that says why, if the servers
    /// are not here and cannot be fetched; then the test has to return.
    ///
    /// # Panics
    /// If a server does not start; and instead of `None` where tests must not be
    /// skipped (see [`environment::REQUIRE_VARIABLE`]).
    pub async fn start(kafka: KafkaChoice) -> Option<Self> {
        let started = blocking(move || start(kafka)).await;
        match started {
            Ok(servers) => Some(servers),
            Err(reason) => {
                let name = std::thread::current().name().unwrap_or("a test").to_owned();
                assert!(!environment::requires_e2e(), "{name} cannot run: {reason}");
                let count = SKIPPED.fetch_add(1, Ordering::Relaxed) + 1;
                eprintln!("SKIPPED (number {count} of this run): {name} cannot run: {reason}");
                None
            }
        }
    }

    /// How a service reaches NATS: with its own user's few permissions.
    pub fn nats_settings(&self, role: Role) -> NatsSettings {
        NatsSettings {
            url: self.nats_url.clone(),
            user: Some(role.user().to_owned()),
            password: Some(Secret::new(PASSWORD)),
        }
    }

    /// Address of NATS, for whom nothing is forbidden there.
    pub fn nats_url(&self) -> &str {
        &self.nats_url
    }

    /// Address of Kafka.
    ///
    /// # Panics
    /// If the test asked for none.
    pub fn kafka_bootstrap(&self) -> &str {
        &self
            .kafka
            .as_ref()
            .expect("the test asked for a kafka")
            .bootstrap
    }

    /// Whether there is a Kafka.
    pub fn has_kafka(&self) -> bool {
        self.kafka.is_some()
    }

    /// Does something to NATS, for instance `|nats| nats.kill()`.
    ///
    /// # Panics
    /// If it fails.
    pub async fn nats<T: Send + 'static>(
        &self,
        call: impl FnOnce(&mut NatsServer) -> devstack::Result<T> + Send + 'static,
    ) -> T {
        let nats = Arc::clone(&self.nats);
        let done = blocking(move || call(&mut lock(&nats))).await;
        done.unwrap_or_else(|error| panic!("nats-server: {error}"))
    }

    /// Does something to this test's own Kafka.
    ///
    /// # Panics
    /// If it fails, or if Kafka is shared.
    pub async fn kafka<T: Send + 'static>(
        &self,
        call: impl FnOnce(&mut KafkaServer) -> devstack::Result<T> + Send + 'static,
    ) -> T {
        let own = self.kafka.as_ref().filter(|kafka| kafka.own);
        let server = own.and_then(|kafka| kafka.server.clone());
        let server = server.expect("only a kafka of the test's own may be touched");
        let done = blocking(move || call(&mut lock(&server))).await;
        done.unwrap_or_else(|error| panic!("kafka: {error}"))
    }
}

/// Runs a call that blocks.
pub(crate) async fn blocking<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(call).await {
        Ok(output) => output,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

/// Why the servers are not here.
fn start(kafka: KafkaChoice) -> Result<Servers, String> {
    let config = Config::from_env();
    let absent = |error: DevstackError| error.to_string();
    let nats = fetch::nats(&config, &announce).map_err(absent)?;
    let kafka = match kafka {
        KafkaChoice::None => None,
        KafkaChoice::Shared => Some(shared(&config)?),
        KafkaChoice::Own => {
            let server = KafkaServer::start(kafka_options(&config)?).expect("kafka starts");
            Some(Broker::of(server, true))
        }
    };
    let mut options = NatsOptions::new(nats);
    options.users = nats_users(&StoreSettings::default().name, || PASSWORD.to_owned());
    options.extra = format!("no_auth_user: {}\n", options.users[0].name);
    let nats = NatsServer::start(options).expect("nats-server starts");
    Ok(Servers {
        nats_url: nats.url(),
        nats: Arc::new(Mutex::new(nats)),
        kafka,
    })
}

fn announce(progress: Progress) {
    if let Progress::Step { .. } | Progress::Waiting { .. } = progress {
        eprintln!("{progress}");
    }
}

impl Broker {
    fn of(server: KafkaServer, own: bool) -> Self {
        Self {
            bootstrap: server.bootstrap(),
            server: Some(Arc::new(Mutex::new(server))),
            own,
        }
    }
}

/// Starts Kafka unless it runs; others wait for it meanwhile.
fn shared(config: &Config) -> Result<Broker, String> {
    let mut shared = lock(&SHARED);
    if let Some(broker) = &*shared {
        return Ok(broker.clone());
    }
    let broker = match &config.kafka_bootstrap {
        Some(bootstrap) => Broker {
            server: None,
            bootstrap: bootstrap.clone(),
            own: false,
        },
        None => {
            let mut options = kafka_options(config)?;
            options.data = Some(shared_folder());
            Broker::of(KafkaServer::start(options).expect("kafka starts"), false)
        }
    };
    Ok(shared.insert(broker).clone())
}

fn kafka_options(config: &Config) -> Result<KafkaOptions, String> {
    prerequisites::check(config, Scope::Servers).map_err(|missing| {
        let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
        missing.join("; ")
    })?;
    let runtime = fetch::kafka(config, &announce).map_err(|error| error.to_string())?;
    Ok(KafkaOptions::new(runtime))
}

/// A folder for this process's Kafka; those of processes that are gone are removed.
fn shared_folder() -> PathBuf {
    let scratch = environment::scratch_folder();
    for entry in fs::read_dir(&scratch).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name
            .to_str()
            .and_then(|name| name.strip_prefix(FOLDER_PREFIX));
        if owner.is_some_and(is_gone) {
            // Another process may be removing it too.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    let folder = scratch.join(format!("{FOLDER_PREFIX}{}", std::process::id()));
    fs::create_dir_all(&folder).expect("the build's folder can be written");
    folder
}

/// Where there is no `/proc`, nothing is known of other processes, and their folders
/// stay until the build's folder is removed.
fn is_gone(process: &str) -> bool {
    let processes = PathBuf::from("/proc");
    processes.join("self").exists() && !processes.join(process).exists()
}
