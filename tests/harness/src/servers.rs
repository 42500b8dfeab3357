//! The servers under a test: a NATS server of its own, which starts in a blink, or a
//! cluster of three, and Kafka, which takes seconds and is shared by all tests of a process unless one
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
use protocol::name::StoreName;
use protocol::permission::Role;
use protocol::secret::Secret;
use service::settings::NatsSettings;

use crate::blocking::blocking;
use crate::brokers::Brokers;
use crate::cluster::Cluster;
use crate::disk::SmallDisk;
use crate::{environment, process};

/// Which Kafka a test needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KafkaChoice {
    /// None.
    None,
    /// The one that all tests of this process share.
    Shared,
    /// One that this test may stop, kill or pause.
    Own,
    /// Three brokers of the test's own. With so many of them as controllers: with
    /// three, any one may be lost; with one, both others.
    Three {
        /// Brokers that elect the controller.
        controllers: usize,
    },
}

/// Which NATS a test needs; it is always its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NatsChoice {
    /// One server.
    One,
    /// A cluster of three.
    Three,
    /// A cluster of three, the first one on a disk of so many bytes.
    OnSmallDisk {
        /// Its size.
        bytes: u64,
    },
}

/// What a test runs on.
#[derive(Debug, Clone)]
pub struct Servers {
    nats: Nats,
    nats_url: String,
    kafka: Option<Broker>,
}

#[derive(Debug, Clone)]
enum Nats {
    One(Arc<Mutex<NatsServer>>),
    Three(Cluster),
}

#[derive(Debug, Clone)]
struct Broker {
    /// `None` for one that was given to us running.
    server: Option<Arc<Mutex<KafkaServer>>>,
    bootstrap: String,
    own: bool,
    /// Where there are three.
    brokers: Option<Brokers>,
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
        Self::start_with(NatsChoice::One, kafka, &[]).await
    }

    /// [`Self::start`] with another NATS than a single server, and with users who may use
    /// these stores beside the usual one.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub async fn start_with(
        nats: NatsChoice,
        kafka: KafkaChoice,
        stores: &[StoreName],
    ) -> Option<Self> {
        started(start(nats, kafka, stores).await)
    }

    /// A single NATS server with options of the test's own, and no Kafka.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub async fn start_nats(change: impl FnOnce(&mut NatsOptions)) -> Option<Self> {
        let usual = StoreSettings::default().name;
        let options = blocking(move || nats_options(&[usual])).await;
        let mut options = started(options)?;
        change(&mut options);
        let server = blocking(move || NatsServer::start(options)).await;
        let server = server.expect("nats-server starts");
        Some(Self {
            nats_url: server.url(),
            nats: Nats::One(Arc::new(Mutex::new(server))),
            kafka: None,
        })
    }

    /// The cluster.
    ///
    /// # Panics
    /// If there is a single server.
    pub fn cluster(&self) -> &Cluster {
        match &self.nats {
            Nats::Three(cluster) => cluster,
            Nats::One(_) => panic!("the test asked for a single nats-server"),
        }
    }

    /// The three brokers, where there are three.
    pub fn brokers(&self) -> Option<&Brokers> {
        self.kafka.as_ref()?.brokers.as_ref()
    }

    /// How a service reaches NATS: with its own user's few permissions.
    pub fn nats_settings(&self, role: Role) -> NatsSettings {
        NatsSettings {
            url: self.nats_url.clone(),
            user: Some(role.user().to_owned()),
            password: Some(Secret::new(PASSWORD)),
            ..NatsSettings::default()
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
    /// If it fails, or there is a cluster.
    pub async fn nats<T: Send + 'static>(
        &self,
        call: impl FnOnce(&mut NatsServer) -> devstack::Result<T> + Send + 'static,
    ) -> T {
        let Nats::One(nats) = &self.nats else {
            panic!("the servers of a cluster are asked for by themselves");
        };
        let nats = Arc::clone(nats);
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

/// What was started, or a line that says why the test does not run.
fn started<T>(started: Result<T, String>) -> Option<T> {
    let reason = match started {
        Ok(started) => return Some(started),
        Err(reason) => reason,
    };
    let name = std::thread::current().name().unwrap_or("a test").to_owned();
    assert!(!environment::requires_e2e(), "{name} cannot run: {reason}");
    let count = SKIPPED.fetch_add(1, Ordering::Relaxed) + 1;
    eprintln!("SKIPPED (number {count} of this run): {name} cannot run: {reason}");
    None
}

/// Why the servers are not here.
async fn start(
    nats: NatsChoice,
    kafka: KafkaChoice,
    stores: &[StoreName],
) -> Result<Servers, String> {
    let usual = StoreSettings::default().name;
    let stores: Vec<_> = std::iter::once(&usual).chain(stores).cloned().collect();
    let options = blocking(move || nats_options(&stores)).await?;
    let kafka = match kafka {
        KafkaChoice::None => None,
        KafkaChoice::Three { controllers } => {
            let options = blocking(|| kafka_options(&Config::from_env())).await?;
            Some(Broker::three(Brokers::start(&options, controllers).await))
        }
        KafkaChoice::Shared => Some(blocking(|| shared(&Config::from_env())).await?),
        KafkaChoice::Own => {
            let start = || kafka_options(&Config::from_env()).map(KafkaServer::start);
            let server = blocking(start).await?.expect("kafka starts");
            Some(Broker::of(server, true))
        }
    };
    let disk = match nats {
        NatsChoice::OnSmallDisk { bytes } => Some(SmallDisk::mount(bytes)?),
        NatsChoice::One | NatsChoice::Three => None,
    };
    let (nats, nats_url) = match nats {
        NatsChoice::One => {
            let server = blocking(move || NatsServer::start(options)).await;
            let server = server.expect("nats-server starts");
            let url = server.url();
            (Nats::One(Arc::new(Mutex::new(server))), url)
        }
        NatsChoice::Three | NatsChoice::OnSmallDisk { .. } => {
            let cluster = Cluster::start(&options, disk).await;
            let url = cluster.url();
            (Nats::Three(cluster), url)
        }
    };
    Ok(Servers {
        nats,
        nats_url,
        kafka,
    })
}

fn nats_options(stores: &[StoreName]) -> Result<NatsOptions, String> {
    let found = fetch::nats(&Config::from_env(), &announce);
    let mut options = NatsOptions::new(found.map_err(|error: DevstackError| error.to_string())?);
    options.users = nats_users(stores, || PASSWORD.to_owned());
    options.extra = format!("no_auth_user: {}\n", options.users[0].name);
    Ok(options)
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
            brokers: None,
        }
    }

    fn three(brokers: Brokers) -> Self {
        Self {
            bootstrap: brokers.bootstrap().to_owned(),
            server: None,
            own: true,
            brokers: Some(brokers),
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
            brokers: None,
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
        if owner.is_some_and(process::is_gone) {
            // Another process may be removing it too.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    let folder = scratch.join(format!("{FOLDER_PREFIX}{}", std::process::id()));
    fs::create_dir_all(&folder).expect("the build's folder can be written");
    folder
}
