//! A worker's settings: defaults, then a JSON file, then `EDDYLINE_*` variables.
//!
//! Owns no state.

use std::net::SocketAddr;
use std::path::PathBuf;

use protocol::name::StoreName;
use serde::{Deserialize, Serialize};
use service::listener;
use service::settings::NatsSettings;

/// The store unless settings say otherwise: the one that a deployment starts with.
const STORE_DEFAULT: &str = "main";
/// Events in one call of a guest: enough that the call itself costs nothing per
/// event, few enough that a deadline of tens of milliseconds fits.
const BATCH_EVENTS_DEFAULT: usize = 256;
/// Most events in one call of a guest.
pub const BATCH_EVENTS_MAX: usize = 10_000;
/// How long the worker whose a free lane is may take to claim it before another does:
/// far longer than hearing of it and claiming it take.
const CLAIM_INTERVAL_MS_DEFAULT: u64 = 1_000;

/// Settings of one worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WorkerConfig {
    /// How to reach NATS.
    pub nats: NatsSettings,
    /// The store whose functions run here. Its spec must be in `CONFIG`.
    pub store: StoreName,
    /// How the worker calls itself, other than every other worker of its store: letters,
    /// digits, hyphens, underscores; empty: a name made of process id and random digits.
    pub name: String,
    /// Threads that run guests; 0: one per core.
    pub guest_threads: usize,
    /// Folder where compiled functions are kept from one start to the next; absent: none.
    /// Whoever can write there can run code in the worker.
    pub compiled: Option<PathBuf>,
    /// Most events in one call of a guest; 1 to 10,000.
    pub batch_events: usize,
    /// How long the worker whose a free lane is may take to claim it before another
    /// does, milliseconds.
    pub claim_interval_ms: u64,
    /// Where health and metrics are served; port 0: a free one, which the log names.
    pub health: SocketAddr,
    /// Test-only switches; refused by a release build.
    pub faults: String,
}

impl Default for WorkerConfig {
    fn default() -> Self {
        Self {
            nats: NatsSettings::default(),
            store: StoreName::parse(STORE_DEFAULT).expect("the default store is a name"),
            name: String::new(),
            guest_threads: 0,
            compiled: None,
            batch_events: BATCH_EVENTS_DEFAULT,
            claim_interval_ms: CLAIM_INTERVAL_MS_DEFAULT,
            health: listener::ADDR_DEFAULT,
            faults: String::new(),
        }
    }
}
