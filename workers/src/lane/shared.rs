//! What all lanes of a worker share: handles and settings. Owns none of what they reach.

use std::sync::Arc;

use bus::Bus;
use host::Host;
use protocol::spec::StoreSpec;
use service::fault::Faults;
use tokio::sync::watch;

use super::kept::Kept;
use crate::intake::Intakes;
use crate::status::Status;

/// What all lanes of a worker share.
pub struct Shared {
    /// The worker's connection.
    pub bus: Bus,
    /// What comes to the lanes.
    pub intakes: Intakes,
    /// The store.
    pub store: StoreSpec,
    /// The host.
    pub host: Host,
    /// Most events in one call of a guest.
    pub batch_events: usize,
    /// Test-only switches.
    pub faults: Faults,
    /// What the worker shows.
    pub status: Arc<Status>,
    /// What INGRESS keeps.
    pub ingress: watch::Receiver<Kept>,
    /// What EVENTS keeps.
    pub events: watch::Receiver<Kept>,
}
