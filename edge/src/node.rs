//! What the tasks of one node share. Owns the handles; each part owns its own state
//! behind them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use auth::Authenticator;
use bus::Bus;
use service::fault::Faults;
use service::shutdown::Shutdown;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::config::EdgeConfig;
use crate::namespaces::Namespaces;
use crate::publisher::Publisher;
use crate::registry::Feeds;

/// Reads of history at a time. Policy: the next one waits. A reader whose client
/// does not take its events gives its turn back.
pub const REPLAYS_MAX: usize = 64;

/// One node.
pub struct Node {
    /// Its settings.
    pub config: EdgeConfig,
    /// Its connection to NATS.
    pub bus: Bus,
    /// Checks tokens.
    pub auth: Authenticator,
    /// Stores and namespaces.
    pub namespaces: Namespaces,
    /// The relays of the active channels.
    pub feeds: Feeds,
    /// Stores events.
    pub publisher: Arc<Publisher>,
    /// Test-only switches.
    pub faults: Faults,
    /// Sessions that may still be opened.
    pub sessions: Arc<Semaphore>,
    /// Turns to read history.
    pub replays: Semaphore,
    /// Asks the node to drain.
    pub shutdown: Shutdown,
    /// Ends what outlives the sessions: feeds, lanes, watchers.
    pub stop: Shutdown,
    /// Sessions and HTTP connections.
    pub clients: TaskTracker,
    /// Everything else.
    pub tasks: TaskTracker,
    /// Numbers for sessions and subscriptions.
    pub ids: AtomicU64,
}

impl Node {
    /// A number that this node has not used yet.
    pub fn next_id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }
}
