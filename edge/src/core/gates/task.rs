//! Looks how far the gates of every store are, and keeps the list of those that are late.
//!
//! Owns one task, and the machine of each store in it. A look that fails leaves what was
//! known.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bus::{Bus, BusError};
use parking_lot::RwLock;
use protocol::checkpoint::Checkpoint;
use protocol::name::StoreName;
use protocol::spec::StoreSpec;
use protocol::stream::StreamName;
use protocol::subject::{Kind, Subject};
use service::clock::now_us;
use service::shutdown::Shutdown;

use super::state::{Found, Gates, Key, Late};
use crate::core::namespaces::Namespaces;

/// A store is looked at so many times in half of what its INGRESS keeps.
const LOOKS: u32 = 20;
/// The least and the longest time between two looks: retention is seconds in tests and
/// days elsewhere, and what is late should be noticed, and be over, within seconds.
const LOOK_LEAST: Duration = Duration::from_millis(100);
const LOOK_LONGEST: Duration = Duration::from_secs(10);
/// Bytes of an input that is read for its sequence: it is read whole whatever it has.
const INPUT_BYTES: usize = 1 << 20;

/// The lanes of gates that are late, as they were seen last.
#[derive(Debug, Default)]
pub struct LateGates(RwLock<Arc<Late>>);

impl LateGates {
    /// The lanes that are late now.
    pub fn snapshot(&self) -> Arc<Late> {
        self.0.read().clone()
    }

    fn replace(&self, late: Late) {
        metrics::gauge!("edge_late_gate_lanes").set(late.len() as f64);
        *self.0.write() = Arc::new(late);
    }
}

/// Looks again and again, until the node stops.
pub async fn follow(
    bus: Bus,
    namespaces: Arc<Namespaces>,
    late_gates: Arc<LateGates>,
    stop: Shutdown,
) {
    let mut stores: HashMap<StoreName, Gates> = HashMap::new();
    loop {
        // Cancel safe: the next round looks again.
        let pause = tokio::select! {
            () = stop.triggered() => return,
            pause = round(&bus, &namespaces, &mut stores) => pause,
        };
        let late = stores
            .values()
            .flat_map(|gates| gates.late().iter().cloned());
        late_gates.replace(late.collect());
        tokio::select! {
            () = stop.triggered() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Looks at every store once; when to look again.
async fn round(
    bus: &Bus,
    namespaces: &Namespaces,
    stores: &mut HashMap<StoreName, Gates>,
) -> Duration {
    let directory = namespaces.snapshot();
    stores.retain(|store, _| directory.store(store).is_some());
    let mut pause = LOOK_LONGEST;
    for name in directory.store_names() {
        let Some(store) = directory.store(&name) else {
            continue;
        };
        let gates = stores.entry(name.clone()).or_default();
        gates.deployed(&directory.gates_of(&name), store.lanes);
        match look(bus, store, gates).await {
            Ok(wanted) => pause = pause.min(wanted),
            Err(error) => {
                metrics::counter!("edge_gate_looks_failed_total").increment(1);
                tracing::debug!(%error, store = %name, "how far its gates are is not known now");
            }
        }
    }
    pause.max(LOOK_LEAST)
}

async fn look(bus: &Bus, store: &StoreSpec, gates: &mut Gates) -> Result<Duration, BusError> {
    let ingress = StreamName::ingress(&store.name);
    let state = bus.stream_state(&ingress).await?;
    let half = state.max_age / 2;
    if half.is_zero() {
        return Ok(LOOK_LONGEST);
    }
    let old = now_us().saturating_sub(u64::try_from(half.as_micros()).unwrap_or(u64::MAX));
    let empty = state.first_seq > state.last_seq;
    let mark = if empty || state.first_time_us >= old {
        state.first_seq
    } else {
        let filter = Subject::store_filter(Kind::In, &store.name);
        let first = bus.first_since(&ingress, &filter, old).await?;
        first.unwrap_or(state.last_seq + 1)
    };
    for (key, from) in gates.due(mark) {
        let from = from.max(state.first_seq);
        let found = look_at(bus, store, &key, from, state.last_seq).await?;
        gates.looked(&key, found, mark);
    }
    Ok(half / LOOKS)
}

/// How far one lane is, which may have open inputs from `from` on; `last` is the stream's.
async fn look_at(
    bus: &Bus,
    store: &StoreSpec,
    key: &Key,
    from: u64,
    last: u64,
) -> Result<Found, BusError> {
    let (gate, lane) = key;
    let (ingress, events) = (
        StreamName::ingress(&store.name),
        StreamName::events(&store.name),
    );
    let checkpoint = Subject::checkpoint(&store.name, *lane, gate);
    let checkpoint = bus.last_on(&events, &checkpoint).await?;
    let settled = match checkpoint {
        Some(stored) => {
            serde_json::from_slice::<Checkpoint>(&stored.payload)
                .map_err(|_| BusError::Malformed { what: "checkpoint" })?
                .seq
        }
        None => 0,
    };
    let from = from.max(settled + 1);
    let inputs = Subject::lane_filter(Kind::In, &store.name, *lane);
    let newest = bus.last_on(&ingress, &inputs).await?;
    if newest.is_none_or(|newest| newest.seq < from) {
        // The leader says that nothing is open, of all that it had before it was asked.
        return Ok(Found::Settled(last.max(settled)));
    }
    let open = bus.next_on(&ingress, &inputs, from, 1, INPUT_BYTES).await?;
    // A follower that does not have it yet proves nothing: it is looked for again.
    let open = open.events.first().map_or(from, |input| input.seq);
    Ok(Found::Open(open))
}
