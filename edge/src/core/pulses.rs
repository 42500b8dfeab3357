//! Whether the stores of the node answer, and how far their clocks are from ours: a
//! pulse for each store that is configured.
//!
//! Owns the pulses. A node is ready as long as one of its stores answers: taking its
//! traffic away because one region is cut off would cut the others off too, and who
//! publishes into the silent one is told so.

use std::collections::BTreeMap;
use std::sync::Arc;

use bus::Bus;
use bus::pulse::Pulse;
use parking_lot::Mutex;
use protocol::name::StoreName;
use protocol::stream::StreamName;
use service::shutdown::Shutdown;

use super::namespaces::Namespaces;

/// The pulses of the stores.
#[derive(Debug, Default)]
pub struct Pulses(Mutex<BTreeMap<StoreName, (Pulse, Shutdown)>>);

impl Pulses {
    /// What keeps the node from being ready: nothing while one store answers.
    pub fn waiting(&self) -> Vec<String> {
        let pulses = self.0.lock();
        let told = pulses
            .iter()
            .map(|(store, (pulse, _))| (store, pulse.waiting()));
        let told: Vec<_> = told.collect();
        if told.iter().any(|(_, reasons)| reasons.is_empty()) {
            return Vec::new();
        }
        let lines = told.iter().flat_map(|(store, reasons)| {
            let named = reasons
                .iter()
                .map(move |reason| format!("store {store}: {reason}"));
            named.collect::<Vec<_>>()
        });
        lines.collect()
    }

    /// Starts pulses of new stores and ends those of stores that are gone.
    fn adjust(&self, bus: &Bus, stores: Vec<StoreName>, stop: &Shutdown) {
        let mut pulses = self.0.lock();
        pulses.retain(|store, (_, stop)| {
            let stays = stores.contains(store);
            if !stays {
                stop.trigger();
            }
            stays
        });
        for store in stores {
            pulses.entry(store.clone()).or_insert_with(|| {
                let stop = stop.child();
                let stream = StreamName::events(&store);
                (Pulse::start(bus.clone(), stream, stop.clone()), stop)
            });
        }
    }
}

/// Keeps the pulses in step with the configuration until the node stops.
pub async fn follow(bus: Bus, namespaces: Arc<Namespaces>, pulses: Arc<Pulses>, stop: Shutdown) {
    let mut changes = namespaces.changes();
    loop {
        pulses.adjust(&bus, namespaces.snapshot().store_names(), &stop);
        // Both branches are cancel safe: a change that was not taken stays one.
        tokio::select! {
            () = stop.triggered() => return,
            changed = changes.changed() => if changed.is_err() {
                return;
            }
        }
    }
}
