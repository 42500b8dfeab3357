//! Stores one commit of a lane: outputs and checkpoint in one atomic batch, guarded
//! by the checkpoint before. Whatever happens on the way, the last checkpoint in the
//! stream says what became of it.
//!
//! Owns nothing. Must not know what the outputs mean.

use std::time::Duration;

use bus::{Bus, BusError};
use protocol::bus::{Outgoing, Stored};
use protocol::checkpoint::Checkpoint;
use protocol::stream::StreamName;
use service::fault::Faults;

use super::messages::Scope;
use super::staging::Commit;

/// First and longest wait after a failure.
const DELAY_MIN: Duration = Duration::from_millis(20);
const DELAY_MAX: Duration = Duration::from_secs(1);

/// What became of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Landed {
    /// It is stored, its checkpoint under this sequence.
    At(u64),
    /// Another owner has committed: the lane is not ours any more.
    Superseded,
    /// Something else of ours is stored: go on from what the checkpoint says.
    Moved,
}

/// A checkpoint as it was found.
pub type Last = Option<(u64, Checkpoint)>;

/// How a lane stands after a commit whose outcome is open.
#[derive(Debug, PartialEq, Eq)]
enum Standing {
    Known(Landed),
    /// The checkpoint before is still the last: not stored, though it may yet be.
    Open,
}

/// The last checkpoint, from the stream's leader.
///
/// # Errors
/// Those of the bus; [`BusError::Malformed`] for a checkpoint that cannot be read.
pub async fn last_checkpoint(bus: &Bus, scope: &Scope) -> Result<Last, BusError> {
    let stored = bus
        .last_on(
            &StreamName::events(&scope.store.name),
            &scope.checkpoint_subject(),
        )
        .await?;
    let read = stored.map(|stored| Ok((stored.seq, read(&stored)?)));
    read.transpose()
}

/// The checkpoint that is stored at a sequence; `None` if retention has taken it.
///
/// # Errors
/// As [`last_checkpoint`].
pub async fn checkpoint_at(
    bus: &Bus,
    scope: &Scope,
    seq: u64,
) -> Result<Option<Checkpoint>, BusError> {
    let events = StreamName::events(&scope.store.name);
    let stored = bus.get(&events, seq).await?;
    stored.map(|stored| read(&stored)).transpose()
}

fn read(stored: &Stored) -> Result<Checkpoint, BusError> {
    serde_json::from_slice(&stored.payload).map_err(|_| BusError::Malformed { what: "checkpoint" })
}

/// Stores a commit, for as long as that takes. Not cancel safe: cancelled, the
/// outcome is unknown, and the next owner finds out.
///
/// # Errors
/// A refusal that no repetition helps, such as a message that is too large.
pub async fn store(
    bus: &Bus,
    scope: &Scope,
    commit: Commit,
    faults: &Faults,
    lost: impl Fn() -> bool,
) -> Result<Landed, BusError> {
    let guard = (!faults.hit("lane.no_guard")).then_some(commit.guard);
    let checkpoint = scope.checkpoint(&commit.checkpoint, guard);
    let mut batch = commit.messages;
    batch.push(checkpoint);
    let mut delay = DELAY_MIN;
    loop {
        if lost() {
            return Ok(Landed::Superseded);
        }
        match attempt(bus, &batch).await {
            Ok(seq) => return Ok(Landed::At(seq)),
            Err(error) if error.outcome_unknown() || matches!(error, BusError::GuardRefused) => {
                tracing::debug!(%error, function = %scope.spec.name, lane = %scope.lane, "commit is looked up");
                if let Standing::Known(landed) =
                    look_up(bus, scope, &commit.checkpoint, commit.guard, &lost).await?
                {
                    return Ok(landed);
                }
            }
            Err(error) if error.temporary() => {
                tracing::debug!(%error, function = %scope.spec.name, lane = %scope.lane, "commit is tried again");
            }
            Err(error) => return Err(error),
        }
        tokio::time::sleep(delay).await;
        delay = (delay * 2).min(DELAY_MAX);
    }
}

async fn attempt(bus: &Bus, batch: &[Outgoing]) -> Result<u64, BusError> {
    Ok(bus.commit_batch(batch.to_vec()).await?.last_seq)
}

async fn look_up(
    bus: &Bus,
    scope: &Scope,
    ours: &Checkpoint,
    guard: u64,
    lost: &impl Fn() -> bool,
) -> Result<Standing, BusError> {
    let mut delay = DELAY_MIN;
    loop {
        match last_checkpoint(bus, scope).await {
            Ok(last) => return Ok(judge(last, ours, guard)),
            Err(_) if lost() => return Ok(Standing::Known(Landed::Superseded)),
            Err(error) if error.temporary() => {}
            Err(error) => return Err(error),
        }
        tokio::time::sleep(delay).await;
        delay = (delay * 2).min(DELAY_MAX);
    }
}

fn judge(last: Last, ours: &Checkpoint, guard: u64) -> Standing {
    match last {
        None if guard == 0 => Standing::Open,
        // The checkpoint that guarded us has gone: start over from what there is.
        None => Standing::Known(Landed::Moved),
        Some((seq, _)) if seq == guard => Standing::Open,
        Some((_, last)) if last.lease != ours.lease => Standing::Known(Landed::Superseded),
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
