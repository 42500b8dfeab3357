//! One node: the core's hub, and what its transports share.

use std::sync::Arc;

use service::shutdown::Shutdown;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::core::hub::Hub;

/// One node.
pub struct Node {
    /// What sessions and requests work with.
    pub hub: Arc<Hub>,
    /// Sessions that may still be opened.
    pub sessions: Arc<Semaphore>,
    /// Requests to publish that may still be taken on.
    pub requests: Semaphore,
    /// Asks the node to drain.
    pub shutdown: Shutdown,
    /// Sessions and HTTP connections.
    pub clients: TaskTracker,
}
