//! What a worker shows of itself: how many lanes it owns, which are halted, what runs.
//! Owns the counts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bus::pulse::Pulse;
use metrics::Gauge;
use parking_lot::Mutex;
use protocol::checkpoint::Digest;
use protocol::name::FunctionName;
use tokio::sync::watch;

/// What a worker shows of itself.
#[derive(Debug, Default)]
pub struct Status {
    owned: AtomicUsize,
    halted: AtomicUsize,
    functions: Mutex<BTreeMap<FunctionName, Digest>>,
}

/// Counts for as long as it lives.
#[derive(Debug)]
pub struct Counted {
    status: Arc<Status>,
    counter: fn(&Status) -> &AtomicUsize,
    gauge: Option<Gauge>,
}

impl Status {
    /// One more lane is owned.
    pub fn owned(self: &Arc<Self>) -> Counted {
        Counted::new(self, |status| &status.owned, None)
    }

    /// One more lane is halted, shown by its gauge.
    pub fn halted(self: &Arc<Self>, gauge: Gauge) -> Counted {
        Counted::new(self, |status| &status.halted, Some(gauge))
    }
}

impl Counted {
    fn new(
        status: &Arc<Status>,
        counter: fn(&Status) -> &AtomicUsize,
        gauge: Option<Gauge>,
    ) -> Self {
        counter(status).fetch_add(1, Ordering::Relaxed);
        let counted = Self {
            status: status.clone(),
            counter,
            gauge,
        };
        counted.show(1.0);
        counted
    }

    fn show(&self, own: f64) {
        match &self.gauge {
            Some(gauge) => gauge.set(own),
            None => {
                metrics::gauge!("lanes_owned").set(self.status.owned.load(Ordering::Relaxed) as f64)
            }
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        (self.counter)(&self.status).fetch_sub(1, Ordering::Relaxed);
        self.show(0.0);
    }
}

/// A view of a running worker that outlives it.
#[derive(Debug, Clone)]
pub struct WorkerStatus {
    status: Arc<Status>,
    connected: watch::Receiver<bool>,
    pulse: Pulse,
}

impl WorkerStatus {
    /// A view of these counts, and of what the worker depends on.
    pub(crate) fn new(status: Arc<Status>, connected: watch::Receiver<bool>, pulse: Pulse) -> Self {
        Self {
            status,
            connected,
            pulse,
        }
    }

    /// Lanes that this worker runs now, over all functions.
    pub fn lanes_owned(&self) -> usize {
        self.status.owned.load(Ordering::Relaxed)
    }

    /// Lanes on which a function has halted.
    pub fn lanes_halted(&self) -> usize {
        self.status.halted.load(Ordering::Relaxed)
    }

    /// The functions that are compiled and running, with their modules.
    pub fn functions(&self) -> Vec<(FunctionName, Digest)> {
        self.status
            .functions
            .lock()
            .iter()
            .map(|(name, digest)| (name.clone(), digest.clone()))
            .collect()
    }

    /// What keeps the worker from being ready, in words. A halted lane is an alarm of
    /// its own (`function_halted`): taking the worker's traffic away would not help.
    pub fn waiting(&self) -> Vec<String> {
        let mut waiting = Vec::new();
        if !*self.connected.borrow() {
            waiting.push("not connected to nats".to_owned());
        }
        waiting.extend(self.pulse.waiting());
        waiting
    }
}

impl Status {
    /// A function runs with this module from now on.
    pub(crate) fn runs(&self, name: FunctionName, digest: Digest) {
        self.functions.lock().insert(name, digest);
    }

    /// A function does not run any more.
    pub(crate) fn runs_no_more(&self, name: &FunctionName) {
        self.functions.lock().remove(name);
    }
}
