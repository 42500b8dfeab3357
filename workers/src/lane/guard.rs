//! Batches that are stored behind a guard: the last message of the batch before, which
//! nobody has replaced. Whatever happens on the way, the last guard in the stream says
//! what became of a batch.
//!
//! Owns nothing. Must not know what the batches mean.

use std::time::Duration;

use bus::{Bus, BusError};
use protocol::bus::{Outgoing, Stored};
use protocol::checkpoint::Checkpoint;
use protocol::state::Fence;
use protocol::stream::StreamName;
use protocol::subject::Subject;
use serde::de::DeserializeOwned;

/// First and longest wait after a failure.
const DELAY_MIN: Duration = Duration::from_millis(20);
const DELAY_MAX: Duration = Duration::from_secs(1);

/// What became of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Landed {
    /// It is stored, its guard under this sequence.
    At(u64),
    /// Another owner has committed: the lane is not ours any more.
    Superseded,
    /// Something else of ours is stored: go on from what the guard says.
    Moved,
}

/// How a lane stands after a commit whose outcome is open.
#[derive(Debug, PartialEq, Eq)]
enum Standing {
    Known(Landed),
    /// The guard before is still the last: not stored, though it may yet be.
    Open,
}

/// What stands in a stream as the last word on who may write, and is written under a
/// lease.
pub trait Guard: DeserializeOwned + PartialEq {
    /// What it is called in errors.
    const WHAT: &'static str;

    /// Revision of the lease.
    fn lease(&self) -> u64;
}

impl Guard for Checkpoint {
    const WHAT: &'static str = "checkpoint";

    fn lease(&self) -> u64 {
        self.lease
    }
}

impl Guard for Fence {
    const WHAT: &'static str = "fence";

    fn lease(&self) -> u64 {
        self.lease
    }
}

/// The last guard on a subject, from the stream's leader.
///
/// # Errors
/// Those of the bus; [`BusError::Malformed`] for one that cannot be read.
pub async fn last_guard<G: Guard>(
    bus: &Bus,
    stream: &StreamName,
    subject: &Subject,
) -> Result<Option<(u64, G)>, BusError> {
    let stored = bus.last_on(stream, subject).await?;
    let read = stored.map(|stored| Ok((stored.seq, read_guard(&stored)?)));
    read.transpose()
}

/// A guard as it is stored.
///
/// # Errors
/// [`BusError::Malformed`] for what is none.
pub fn read_guard<G: Guard>(stored: &Stored) -> Result<G, BusError> {
    serde_json::from_slice(&stored.payload).map_err(|_| BusError::Malformed { what: G::WHAT })
}

/// Where a guard stands.
pub struct Place {
    /// In which stream.
    pub stream: StreamName,
    /// On which subject.
    pub subject: Subject,
}

/// Stores a batch whose last message is the guard `ours`, behind the guard at the
/// sequence `before`, for as long as that takes. Not cancel safe.
///
/// # Errors
/// A refusal that no repetition helps.
pub async fn persist<G: Guard>(
    bus: &Bus,
    place: &Place,
    batch: &[Outgoing],
    (ours, before): (&G, u64),
    lost: impl Fn() -> bool,
) -> Result<Landed, BusError> {
    let mut delay = DELAY_MIN;
    loop {
        if lost() {
            return Ok(Landed::Superseded);
        }
        match bus.commit_batch(batch.to_vec()).await {
            Ok(ack) => return Ok(Landed::At(ack.last_seq)),
            Err(error) if error.outcome_unknown() || matches!(error, BusError::GuardRefused) => {
                tracing::debug!(%error, guard = %place.subject, "commit is looked up");
                if let Standing::Known(landed) = look_up(bus, place, ours, before, &lost).await? {
                    return Ok(landed);
                }
            }
            Err(error) if error.temporary() => {
                tracing::debug!(%error, guard = %place.subject, "commit is tried again");
            }
            Err(error) => return Err(error),
        }
        tokio::time::sleep(delay).await;
        delay = (delay * 2).min(DELAY_MAX);
    }
}

async fn look_up<G: Guard>(
    bus: &Bus,
    place: &Place,
    ours: &G,
    before: u64,
    lost: &impl Fn() -> bool,
) -> Result<Standing, BusError> {
    let mut delay = DELAY_MIN;
    loop {
        match last_guard(bus, &place.stream, &place.subject).await {
            Ok(last) => return Ok(judge(last, ours, before)),
            Err(_) if lost() => return Ok(Standing::Known(Landed::Superseded)),
            Err(error) if error.temporary() => {}
            Err(error) => return Err(error),
        }
        tokio::time::sleep(delay).await;
        delay = (delay * 2).min(DELAY_MAX);
    }
}

fn judge<G: Guard>(last: Option<(u64, G)>, ours: &G, before: u64) -> Standing {
    match last {
        None if before == 0 => Standing::Open,
        // What guarded us has gone: start over from what there is.
        None => Standing::Known(Landed::Moved),
        Some((seq, _)) if seq == before => Standing::Open,
        Some((_, last)) if last.lease() != ours.lease() => Standing::Known(Landed::Superseded),
        Some((seq, last)) if last == *ours => Standing::Known(Landed::At(seq)),
        Some(_) => Standing::Known(Landed::Moved),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lane::tests::checkpoint;

    #[test]
    fn the_last_checkpoint_decides_what_became_of_a_commit() {
        let ours = checkpoint(10, 7);
        let known = |landed| Standing::Known(landed);
        assert_eq!(
            judge(Some((50, checkpoint(9, 7))), &ours, 50),
            Standing::Open
        );
        assert_eq!(judge(None, &ours, 0), Standing::Open);
        assert_eq!(
            judge(Some((60, ours.clone())), &ours, 50),
            known(Landed::At(60))
        );
        assert_eq!(
            judge(Some((60, checkpoint(10, 8))), &ours, 50),
            known(Landed::Superseded)
        );
        assert_eq!(
            judge(Some((60, checkpoint(9, 7))), &ours, 50),
            known(Landed::Moved)
        );
        assert_eq!(judge(None, &ours, 50), known(Landed::Moved));
    }
}
