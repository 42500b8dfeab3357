//! What the parts of presence share: the channels, the names, the bucket.
//!
//! Owns the map of channels and what is known of nodes, each under a lock of its own that
//! is never held across a wait.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bus::{Bus, BusError, Kv};
use parking_lot::{Mutex, RwLock};
use protocol::presence::NodeId;
use rand::Rng;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::hall::{Hall, Halls, Inside};
use crate::core::directory::Place;
use crate::core::feed::relay::FeedKey;
use crate::core::metrics::meters;
use crate::core::namespaces::Namespaces;
use presence::room::Living;
use shares::rate::Rate;
use shares::turns::Turns;

/// Channels that are watched on a node: each is one core subscription, and at most as many
/// names as its namespace has told of. Policy: the next one is refused.
pub const WATCHED_MAX: usize = 4_096;
/// Writers that a node begins to tell of in a second: each is four requests of JetStream, and
/// a node that meets a storm of clients has others to serve. Policy: further ones wait.
pub const TOLD_PER_SECOND: u64 = 200;
/// Channels that are read at a time for those who watch.
const READS_MAX: usize = 16;
/// Single looks at a time, and of one tenant.
const LOOKS_MAX: usize = 16;
const LOOKS_PER_TENANT_MAX: usize = 4;

/// Presence on one node.
pub struct Presences {
    /// Where it is kept.
    pub(super) bus: Bus,
    /// Which channels tell what.
    pub(super) namespaces: Arc<Namespaces>,
    halls: Mutex<HashMap<FeedKey, Arc<Hall>>>,
    /// What is due, and what is to be written.
    pub(super) agenda: Halls,
    /// The nodes that live, but for this one.
    living: RwLock<Arc<Living>>,
    /// The nodes have been read.
    pub(super) loaded: AtomicBool,
    kv: OnceLock<Kv>,
    /// The name that this node's first sign of life was stored under; `None`: nothing may
    /// be written now.
    pub(super) name: watch::Sender<Option<NodeId>>,
    /// The name of this node once it has begun to leave.
    left: OnceLock<NodeId>,
    /// The writer has ended.
    pub(super) quiet: watch::Sender<bool>,
    /// The nodes should be read again.
    pub(super) unknown: Notify,
    watched: AtomicUsize,
    watched_max: usize,
    /// Places to read channels that are watched.
    pub(super) reads: Semaphore,
    /// Turns at single looks.
    pub(super) looks: Turns,
    numbers: AtomicU64,
    /// How fast writers are told of.
    telling: Rate,
    pub(super) tasks: TaskTracker,
}

/// A new name for a node.
pub(super) fn new_name() -> NodeId {
    NodeId::from_random(rand::rng().random())
}

impl Presences {
    /// Nobody is anywhere yet; tasks are among `tasks`.
    pub(super) fn new(
        (bus, namespaces): (Bus, Arc<Namespaces>),
        watched_max: usize,
        tasks: TaskTracker,
    ) -> Arc<Self> {
        Arc::new(Self {
            bus,
            namespaces,
            left: OnceLock::new(),
            halls: Mutex::default(),
            agenda: Halls::default(),
            living: RwLock::default(),
            loaded: AtomicBool::new(false),
            kv: OnceLock::new(),
            name: watch::channel(None).0,
            quiet: watch::channel(false).0,
            unknown: Notify::new(),
            watched: AtomicUsize::new(0),
            watched_max,
            reads: Semaphore::new(READS_MAX),
            looks: Turns::new(LOOKS_MAX, LOOKS_PER_TENANT_MAX),
            numbers: AtomicU64::new(1),
            telling: Rate::new(TOLD_PER_SECOND, Instant::now()),
            tasks,
        })
    }

    /// The bucket.
    ///
    /// # Errors
    /// [`BusError::NotFound`] while nobody has opened it.
    pub(super) fn kv(&self) -> Result<&Kv, BusError> {
        self.kv.get().ok_or(BusError::NotFound)
    }

    /// The bucket was opened. It stays the same however often it is.
    pub(super) fn opened(&self, kv: Kv) {
        let _ = self.kv.set(kv);
    }

    /// This node leaves: from now on its members count for nobody.
    pub(super) fn leaves(&self, node: NodeId) {
        self.name.send_replace(None);
        let _ = self.left.set(node);
    }

    /// Whether this is the node itself, which leaves.
    pub(super) fn was(&self, node: &NodeId) -> bool {
        self.left.get() == Some(node)
    }

    /// The nodes that live, but for this one.
    pub(super) fn living(&self) -> Arc<Living> {
        self.living.read().clone()
    }

    /// Other nodes live now; what follows from it is told.
    pub(super) fn live(&self, living: Living) {
        if **self.living.read() == living {
            return;
        }
        *self.living.write() = Arc::new(living);
        for hall in self.watched() {
            self.turn(&hall, |_| ());
        }
    }

    /// Changes something about a channel, and does what follows from it.
    pub(super) fn turn<T>(&self, hall: &Arc<Hall>, change: impl FnOnce(&mut Inside) -> T) -> T {
        hall.turn(&self.agenda, &self.living(), change)
    }

    /// A channel, with one more seat.
    pub(super) fn enter(&self, key: FeedKey, place: &Place, list_max: u32) -> Arc<Hall> {
        let mut halls = self.halls.lock();
        let hall = halls.entry(key).or_insert_with_key(|key| {
            let number = self.numbers.fetch_add(1, Ordering::Relaxed);
            Arc::new(Hall::new(
                key.clone(),
                place.store.clone(),
                list_max,
                number,
            ))
        });
        hall.look(|inside| inside.seats += 1);
        hall.clone()
    }

    /// Forgets a channel of which nothing is left.
    pub(super) fn tidy(&self, hall: &Arc<Hall>) {
        let mut halls = self.halls.lock();
        let is_over = hall.look(|inside| inside.seats == 0 && inside.room.is_over());
        let known = halls.get(&hall.key);
        if is_over && known.is_some_and(|known| Arc::ptr_eq(known, hall)) {
            halls.remove(&hall.key);
        }
    }

    /// Takes the turn of one more writer that is told of; how long to wait if there is none.
    pub(super) fn may_tell(&self) -> Option<Duration> {
        let now = Instant::now();
        let wait = self.telling.wait(1, now);
        if wait.is_none() {
            self.telling.take(1, now);
        }
        wait
    }

    /// A channel that somebody is on, or watches.
    pub(super) fn find(&self, key: &FeedKey) -> Option<Arc<Hall>> {
        self.halls.lock().get(key).cloned()
    }

    /// Every channel.
    pub(super) fn all(&self) -> Vec<Arc<Hall>> {
        self.halls.lock().values().cloned().collect()
    }

    /// Every channel that is watched.
    pub(super) fn watched(&self) -> Vec<Arc<Hall>> {
        let mut all = self.all();
        all.retain(|hall| hall.look(|inside| inside.watching > 0));
        all
    }

    /// Takes the place of one more channel that is watched, if there is one.
    pub(super) fn watch_place(&self) -> bool {
        let max = self.watched_max;
        let more = |count: usize| (count < max).then_some(count + 1);
        let taken = self
            .watched
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .is_ok();
        if taken {
            meters().presence_watched.increment(1.0);
        }
        taken
    }

    /// Gives it back.
    pub(super) fn watch_place_back(&self) {
        self.watched.fetch_sub(1, Ordering::Relaxed);
        meters().presence_watched.decrement(1.0);
    }
}
