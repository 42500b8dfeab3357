//! Reads one place until nobody is left.
//!
//! Owns the reader. Decides nothing: when to read is the intake's.

use std::sync::Arc;

use bus::{Bus, BusError};

use super::place::{Intake, Step};

/// Reads from a sequence on. A failure ends it and is told to everyone who takes from it.
pub(super) async fn run(intake: Arc<Intake>, bus: Bus, from: u64) {
    if let Err(error) = read(&intake, &bus, from).await {
        intake.fail(error);
    }
}

async fn read(intake: &Intake, bus: &Bus, from: u64) -> Result<(), BusError> {
    let place = &intake.place;
    let opening = bus.reader(&place.stream, Some(&place.filter), from, intake.options);
    let mut reader = opening.await?;
    intake.put(Vec::new(), reader.pending());
    loop {
        match intake.step() {
            Step::End => return Ok(()),
            Step::Rest => intake.nudge.notified().await,
            // Both are cancel safe: the reader keeps what it has, a nudge is kept.
            Step::Read => tokio::select! {
                events = reader.next_batch() => intake.put(events?, reader.pending()),
                () = intake.nudge.notified() => {}
            },
        }
    }
}
