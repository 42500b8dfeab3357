//! Reads one place until nobody is left.
//!
//! Owns the reader. Decides nothing: when to read is the intake's.

use std::sync::Arc;

use bus::{Bus, BusError, Reader};
use tokio::time::sleep;

use super::place::{AGAIN, Intake, Step};

/// Reads from a sequence on. A failure ends it and is told to everyone who takes from it.
pub(super) async fn run(intake: Arc<Intake>, bus: Bus, from: u64) {
    if let Err(error) = read(&intake, &bus, from).await {
        intake.fail(error);
    }
}

async fn read(intake: &Intake, bus: &Bus, from: u64) -> Result<(), BusError> {
    let Some(mut reader) = open(intake, bus, from).await? else {
        return Ok(());
    };
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

/// Makes the reader, however often that fails for now; `None` if nobody is left.
async fn open(intake: &Intake, bus: &Bus, from: u64) -> Result<Option<Reader>, BusError> {
    let place = &intake.place;
    loop {
        if matches!(intake.step(), Step::End) {
            return Ok(None);
        }
        let (stream, filter) = (&place.stream, &place.filter);
        match bus.reader(stream, Some(filter), from, intake.options).await {
            Err(error) if error.temporary() => {
                tracing::warn!(%error, %stream, %filter, "a lane cannot be read for now");
                intake.refuse(Some(error.to_string()));
                sleep(AGAIN).await;
            }
            opened => {
                intake.refuse(None);
                return opened.map(Some);
            }
        }
    }
}
