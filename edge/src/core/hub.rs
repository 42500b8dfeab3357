//! Everything that a node's sessions and requests share, over one bus.
//!
//! Owns the handles; each part owns its own state behind them. Built without a socket,
//! so that tests and simulations have the whole of it too.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use archive::Archive;
use auth::Verifier;
use bus::Bus;
use bus::disconnects;
use bus::revocations::{self, RevocationList};
use service::fault::Faults;
use service::shutdown::Shutdown;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::admission::Accounts;
use super::ephemeral::passing::Passing;
use super::feed::sources::Sources;
use super::gates::task::{self as gates, LateGates};
use super::history::Histories;
use super::limits::EdgeLimits;
use super::managing::Managing;
use super::namespaces::{self, Namespaces};
use super::port::Port;
use super::presence::Presence;
use super::probe;
use super::publisher::Publisher;
use super::pulses::{self, Pulses};
use super::quota::task::{self as quota, Quotas};
use super::registry::Feeds;
use super::replay::Replays;
use super::run::Form;
use super::session::commands::Rules;
use super::sessions::{self, Sessions};
use service::clock::now_us;
use shares::budget::Budget;
use shares::departures::Departures;

/// What a hub is made with.
pub struct HubSettings {
    /// The node's name; sessions are named after it.
    pub name: String,
    /// What a client may do.
    pub limits: EdgeLimits,
    /// Checks tokens.
    pub auth: Verifier,
    /// Where the past of the stores is.
    pub archive: Archive,
    /// How often quiet channels are compared with the stream.
    pub probe_interval: Duration,
    /// Test-only switches.
    pub faults: Faults,
}

/// What the sessions of one node share.
pub struct Hub {
    name: String,
    /// What a client may do.
    pub limits: EdgeLimits,
    auth: Verifier,
    bus: Bus,
    /// Stores and namespaces.
    pub namespaces: Arc<Namespaces>,
    /// The relays of the active channels.
    pub feeds: Arc<Feeds>,
    /// Stores events.
    pub publisher: Arc<Publisher>,
    /// Passes ephemeral events on.
    pub passing: Passing,
    /// Brings subscriptions level.
    pub replays: Arc<Replays>,
    /// What connections share of the node.
    pub accounts: Accounts,
    /// What tenants have stored.
    quotas: Arc<Quotas>,
    /// What clients may leave waiting together.
    outboxes: Arc<Budget>,
    /// The sessions, by tenant.
    pub sessions: Arc<Sessions>,
    revocations: Arc<RevocationList>,
    /// Who is on which channel.
    pub presence: Presence,
    /// What backends may do to sessions and tokens.
    pub managing: Managing,
    /// Who leaves when, once the node drains.
    pub departures: Departures,
    /// Reads history a page at a time.
    pub histories: Histories,
    pulses: Arc<Pulses>,
    late_gates: Arc<LateGates>,
    /// What outlives a session.
    pub tasks: TaskTracker,
    /// Numbers for sessions and subscriptions.
    ids: AtomicU64,
}

/// Follows what lets clients in, keeps them out and sends them away: keys, what is
/// revoked, who is disconnected.
fn follow_access(
    bus: &Bus,
    auth: &Verifier,
    stop: &Shutdown,
    tasks: &TaskTracker,
) -> (Arc<Sessions>, Arc<RevocationList>) {
    let (known, list) = (Arc::<Sessions>::default(), Arc::<RevocationList>::default());
    tasks.spawn(auth.clone().follow(stop.clone()));
    tasks.spawn(revocations::follow(bus.clone(), list.clone(), stop.clone()));
    tasks.spawn(sessions::follow(known.clone(), list.clone(), stop.clone()));
    let all = known.clone();
    let sent_away = move |entry: &_| all.disconnect(entry);
    tasks.spawn(disconnects::follow(bus.clone(), sent_away, stop.clone()));
    (known, list)
}

/// Keeps something in step with the stores and namespaces, until the node stops.
fn followed<T, F: Future<Output = ()> + Send + 'static>(
    kept: Arc<T>,
    (bus, namespaces): (&Bus, &Arc<Namespaces>),
    (stop, tasks): (&Shutdown, &TaskTracker),
    follow: impl FnOnce(Bus, Arc<Namespaces>, Arc<T>, Shutdown) -> F,
) -> Arc<T> {
    tasks.spawn(follow(
        bus.clone(),
        namespaces.clone(),
        kept.clone(),
        stop.clone(),
    ));
    kept
}

impl Hub {
    /// Starts over a bus; `stop` ends what was started, all of it among `tasks`.
    pub fn start(
        settings: HubSettings,
        bus: Bus,
        stop: &Shutdown,
        tasks: &TaskTracker,
    ) -> Arc<Self> {
        let namespaces = Arc::new(Namespaces::default());
        let sources = Sources {
            bus: bus.clone(),
            namespaces: namespaces.clone(),
            faults: settings.faults.clone(),
            stop: stop.clone(),
        };
        let feeds = Feeds::new(sources, tasks.clone());
        tasks.spawn(namespaces::follow(
            bus.clone(),
            namespaces.clone(),
            stop.clone(),
        ));
        tasks.spawn(probe::run(
            bus.clone(),
            feeds.clone(),
            settings.probe_interval,
            stop.clone(),
        ));
        let (sessions, revocations) = follow_access(&bus, &settings.auth, stop, tasks);
        let presence = Presence::start(
            (bus.clone(), &settings.name),
            namespaces.clone(),
            sessions.clone(),
            stop,
            tasks,
        );
        let (over, life) = ((&bus, &namespaces), (stop, tasks));
        let pulses = followed(Arc::default(), over, life, pulses::follow);
        let quotas = followed(Quotas::new(&settings.name), over, life, quota::follow);
        let late_gates = followed(Arc::default(), over, life, gates::follow);
        Arc::new(Self {
            accounts: Accounts::default(),
            outboxes: Budget::new(settings.limits.outboxes_bytes),
            sessions,
            revocations,
            presence,
            managing: Managing::new(bus.clone()),
            departures: Departures::new(settings.limits.closes_per_second),
            pulses,
            late_gates,
            name: settings.name,
            limits: settings.limits,
            auth: settings.auth,
            passing: Passing::new(bus.clone(), namespaces.clone(), stop.clone(), tasks.clone()),
            namespaces,
            feeds,
            publisher: Publisher::new(
                bus.clone(),
                quotas.clone(),
                settings.faults,
                stop.clone(),
                tasks.clone(),
            ),
            quotas,
            replays: Replays::new(bus.clone(), settings.probe_interval),
            histories: Histories::new(bus.clone(), settings.archive, settings.probe_interval),
            bus,
            tasks: tasks.clone(),
            ids: AtomicU64::new(1),
        })
    }

    /// What holds now.
    pub fn rules(&self) -> Rules<'_> {
        Rules {
            auth: &self.auth,
            directory: self.namespaces.snapshot(),
            late: self.late_gates.snapshot(),
            revocations: self.revocations.snapshot(),
            limits: &self.limits,
            accounts: &self.accounts,
            quotas: &self.quotas,
            node: &self.name,
            now: Instant::now(),
            now_us: now_us(),
        }
    }

    /// A new session's meeting place.
    pub fn port(&self, form: Form) -> Port {
        Port::new(self.limits.outbox_bytes, &self.outboxes, form)
    }

    /// A number that this node has not used yet.
    pub fn next_id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }

    /// A new session's name.
    pub fn session_name(&self) -> String {
        format!("{}-{}", self.name, self.next_id())
    }

    /// What the node waits for before it should get traffic; empty when it is ready.
    pub fn waiting(&self) -> Vec<String> {
        if !*self.bus.connected().borrow() {
            return vec!["not connected to nats".into()];
        }
        if !self.namespaces.is_loaded() {
            return vec!["the configuration has not been read".into()];
        }
        if self.revocations.snapshot().is_none() {
            return vec!["what is revoked has not been read".into()];
        }
        if !self.namespaces.snapshot().has_stores() {
            return vec!["no store is configured: no bootstrap has run".into()];
        }
        if !self.quotas.is_known() {
            return vec!["how full the stores are is not known".into()];
        }
        let keys = self.auth.waiting();
        if !keys.is_empty() {
            return keys;
        }
        self.pulses.waiting()
    }
}
