//! Stores one commit of a lane: outputs and checkpoint in one atomic batch, guarded by
//! the checkpoint before. The last checkpoint in the stream says what became of it.
//!
//! Owns nothing. Must not know what the outputs mean.

use bus::{Bus, BusError};
use protocol::checkpoint::Checkpoint;
use protocol::stream::StreamName;
use service::fault::Faults;

use super::guard::{Landed, Place, last_guard, persist, read_guard};
use super::messages::Scope;
use super::staging::Commit;

/// A checkpoint as it was found.
pub type Last = Option<(u64, Checkpoint)>;

/// The last checkpoint, from the stream's leader.
///
/// # Errors
/// As [`last_guard`].
pub async fn last_checkpoint(bus: &Bus, scope: &Scope) -> Result<Last, BusError> {
    let events = StreamName::events(&scope.store.name);
    last_guard(bus, &events, &scope.checkpoint_subject()).await
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
    stored.as_ref().map(read_guard).transpose()
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
    let place = Place {
        stream: StreamName::events(&scope.store.name),
        subject: scope.checkpoint_subject(),
    };
    persist(
        bus,
        &place,
        &batch,
        (&commit.checkpoint, commit.guard),
        lost,
    )
    .await
}
