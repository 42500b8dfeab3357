//! One node: the core's hub, and what its transports share.

use std::sync::Arc;

use service::shutdown::Shutdown;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;

use crate::core::hub::Hub;
use crate::origins::Origins;
use shares::addresses::Held;
use trace::Tracer;

/// A connection's place on the node, and among those of its address; given back when it
/// is dropped.
#[derive(Debug)]
pub struct Place {
    _permit: OwnedSemaphorePermit,
    _held: Held,
}

impl Place {
    /// Of both.
    pub fn new(permit: OwnedSemaphorePermit, held: Held) -> Self {
        Self {
            _permit: permit,
            _held: held,
        }
    }
}

/// One node.
pub struct Node {
    /// What sessions and requests work with.
    pub hub: Arc<Hub>,
    /// Which web pages may use it.
    pub origins: Origins,
    /// Sessions that may still be opened.
    pub sessions: Arc<Semaphore>,
    /// Requests to publish that may still be taken on.
    pub requests: Semaphore,
    /// Requests for pages of history that may still be taken on.
    pub pages: Semaphore,
    /// Requests of backends about sessions and tokens that may still be taken on.
    pub managing: Semaphore,
    /// Requests for traces that may still be taken on.
    pub traces: Semaphore,
    /// Follows single events' ways.
    pub tracer: Tracer,
    /// Asks the node to drain.
    pub shutdown: Shutdown,
    /// Sessions and HTTP connections.
    pub clients: TaskTracker,
}

impl Node {
    /// Sessions that are open.
    pub fn sessions_open(&self) -> u64 {
        let places = self.hub.limits.connections;
        places.saturating_sub(self.sessions.available_permits()) as u64
    }
}
