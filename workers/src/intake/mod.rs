//! What comes to a lane, read from its stream once for all the functions that this worker
//! runs on it.
//!
//! A hundred functions on a lane would otherwise be a hundred consumers at the server,
//! each of which is sent everything: NATS 2.15 gives a stream a thousand consumers unless
//! it is told otherwise, and a worker's link has its limits too. So one task reads, and
//! each function takes what came from a window at its own pace, by a [`Tap`]. The
//! fastest decides how far is read; one that falls behind the window reads by itself
//! until it has caught up, and costs nobody anything but that.
//!
//! Owns the readers. It must not know what becomes of an event.

mod place;
mod settled;
mod tap;
mod task;
mod window;

use std::collections::HashMap;
use std::sync::Arc;

use bus::{Bus, ReaderOptions};
use parking_lot::Mutex;
use protocol::stream::StreamName;
use protocol::subject::Subject;

use self::place::{Intake, Place};
pub use self::settled::settled;
pub use self::tap::{Tap, TapError};

/// Every intake of a worker.
pub struct Intakes {
    bus: Bus,
    options: ReaderOptions,
    open: Mutex<HashMap<Place, Arc<Intake>>>,
}

impl Intakes {
    /// Of a connection. Every reader is asked for with these options.
    pub fn new(bus: Bus, options: ReaderOptions) -> Self {
        Self {
            bus,
            options,
            open: Mutex::default(),
        }
    }

    /// Follows a filter of a stream from a sequence on. Must be called within a runtime.
    pub fn attach(&self, stream: &StreamName, filter: &Subject, from: u64) -> Tap {
        let place = Place {
            stream: stream.clone(),
            filter: filter.clone(),
        };
        let mut open = self.open.lock();
        open.retain(|_, intake| !intake.is_closed());
        let intake = match open.get(&place).filter(|intake| intake.join()) {
            Some(intake) => intake.clone(),
            None => {
                let intake = Arc::new(Intake::new(place.clone(), self.options, from));
                tokio::spawn(task::run(intake.clone(), self.bus.clone(), from));
                open.insert(place, intake.clone());
                intake
            }
        };
        Tap::new(intake, self.bus.clone(), from)
    }
}
