//! What the tasks of all feeds work with. Owns nothing but handles.

use std::sync::Arc;

use bus::Bus;
use service::fault::Faults;
use service::shutdown::Shutdown;

use crate::core::namespaces::Namespaces;

/// What the tasks of all feeds work with.
#[derive(Clone)]
pub struct Sources {
    /// Where events come from.
    pub bus: Bus,
    /// Tells of a new epoch.
    pub namespaces: Arc<Namespaces>,
    /// Test-only switches.
    pub faults: Faults,
    /// Ends every feed.
    pub stop: Shutdown,
}
