//! One version of a function on one lane: its program, its place on a guest thread, and
//! what counts what it does.
//!
//! Owns the place. It must not know which events are its own.

use std::sync::Arc;

use host::fault::Broken;
use host::module::Program;
use host::pack::Item;
use host::pool::Guest;
use host::reply::Handled;
use tokio::time::Instant;

use crate::meter::Meter;

/// A version at work on a lane.
pub struct Version {
    /// Spec and module.
    pub program: Arc<Program>,
    /// Its place.
    pub guest: Guest,
    /// Counts what it does.
    pub meter: Meter,
}

impl Version {
    /// Hands events to it. Not cancel safe: the call goes on.
    ///
    /// # Errors
    /// [`Broken`] when it cannot be called.
    pub async fn run(&self, items: Vec<Item>) -> Result<Vec<Handled>, Broken> {
        let began = Instant::now();
        let result = self.guest.run(self.program.clone(), items).await;
        self.meter
            .ran(began.elapsed(), self.guest.cost().take_cpu());
        result
    }
}
