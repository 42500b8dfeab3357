//! How a new owner begins: read the last checkpoint, see that the stream is still
//! the one that it speaks of, and fence the owner before by committing a checkpoint
//! of its own.
//!
//! Owns nothing. Nothing is run before the fence is stored.

use std::time::Duration;

use bus::{Bus, BusError};
use protocol::bus::StreamState;
use protocol::checkpoint::Checkpoint;
use service::fault::Faults;
use tokio::time::Instant;

use super::commit;
use super::guard::Landed;
use super::messages::Scope;
use super::recall;
use super::staging::Commit;

/// Times that the owner before may commit in between before the lane is given up
/// again.
const ROUNDS_MAX: usize = 5;
/// How long an input that the checkpoint names may be absent before the stream counts
/// as rolled back: a leader that was deposed and does not know it answers for some ten
/// seconds from what it has, and a new owner has seen nothing that would tell it so.
const ABSENT_AFTER: Duration = Duration::from_secs(30);
/// Wait before it is asked for again.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// Where a lane begins.
#[derive(Debug)]
pub struct Taken {
    /// Our checkpoint.
    pub checkpoint: Checkpoint,
    /// Its sequence.
    pub guard: u64,
    /// The first sequence to read.
    pub from: u64,
    /// What retention has taken since the owner before, if anything: how many inputs of
    /// the lane were among it nobody knows any more.
    pub lost: Option<(u64, u64)>,
    /// The sequence of our fence in STATE, if the function remembers anything.
    pub fence: Option<u64>,
}

/// Why a lane cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum TakeoverError {
    /// The bus failed.
    #[error("bus")]
    Bus(#[from] BusError),
    /// The owner before is still at work, or there is yet another.
    #[error("another owner keeps committing")]
    Superseded,
    /// The stream and the checkpoint do not belong together. Somebody has to look.
    #[error("{0}")]
    Alarm(String),
}

/// Takes a lane over under the lease revision `lease`.
///
/// # Errors
/// [`TakeoverError`]; nothing was run. Not cancel safe: the fence may be stored.
pub async fn take(
    bus: &Bus,
    scope: &Scope,
    lease: u64,
    faults: &Faults,
    lost: &impl Fn() -> bool,
) -> Result<Taken, TakeoverError> {
    faults.hit("lane.takeover");
    for _ in 0..ROUNDS_MAX {
        let last = commit::last_checkpoint(bus, scope).await?;
        let mut guard = last.as_ref().map_or(0, |(seq, _)| *seq);
        let state = bus.stream_state(&scope.stream()).await?;
        let own = match last {
            Some((_, checkpoint)) => of_this_life(scope, checkpoint)?,
            None => None,
        };
        if let Some(checkpoint) = &own {
            verify(bus, scope, checkpoint, &state, lost).await?;
        }
        let began = own.is_some();
        let committed = own.as_ref().map(|own| own.generation);
        let checkpoint = match own {
            Some(checkpoint) => whole(bus, scope, checkpoint).await?,
            None => first(scope),
        };
        let checkpoint = Checkpoint {
            lease,
            ..checkpoint
        };
        // Only tests take over so: what was read need not be the last any more.
        if faults.hit("lane.read_before_fence") {
            // As a slow network does, so that the owner before comes in between.
            tokio::time::sleep(Duration::from_secs(5)).await;
            let newer = commit::last_checkpoint(bus, scope).await?;
            guard = newer.map_or(0, |(seq, _)| seq);
        }
        let fence = Commit {
            messages: Vec::new(),
            change: None,
            checkpoint: checkpoint.clone(),
            guard,
        };
        faults.hit("lane.before_fence");
        match commit::store(bus, scope, fence, faults, lost).await? {
            Landed::At(guard) => {
                faults.hit("lane.after_fence");
                let from = (checkpoint.seq + 1).max(state.first_seq);
                let gone = (checkpoint.seq + 1, state.first_seq.saturating_sub(1));
                let mut taken = Taken {
                    lost: (began && gone.0 <= gone.1).then_some(gone),
                    checkpoint,
                    guard,
                    from,
                    fence: None,
                };
                if scope.remembers {
                    fence_memory(bus, scope, committed, &mut taken, lost).await?;
                }
                faults.hit("lane.taken");
                return Ok(taken);
            }
            Landed::Superseded if lost() => return Err(TakeoverError::Superseded),
            Landed::Superseded | Landed::Moved => {}
        }
    }
    Err(TakeoverError::Superseded)
}

/// Fences whoever wrote what is remembered, once nobody else can commit outputs.
async fn fence_memory(
    bus: &Bus,
    scope: &Scope,
    committed: Option<u64>,
    taken: &mut Taken,
    lost: &impl Fn() -> bool,
) -> Result<(), TakeoverError> {
    let lease = taken.checkpoint.lease;
    let begun = recall::begin(bus, scope, (lease, committed), lost).await?;
    let (fence, generation) = begun.ok_or(TakeoverError::Superseded)?;
    taken.fence = Some(fence);
    taken.checkpoint.generation = generation;
    Ok(())
}

/// A checkpoint, if it belongs to the life of the function that its spec speaks of; one
/// of a life before is only to be written over.
fn of_this_life(
    scope: &Scope,
    checkpoint: Checkpoint,
) -> Result<Option<Checkpoint>, TakeoverError> {
    let (wanted, found) = (scope.spec.incarnation, checkpoint.incarnation);
    if found > wanted {
        return Err(TakeoverError::Alarm(format!(
            "the checkpoint is of incarnation {found} of the function, its spec of {wanted}"
        )));
    }
    Ok((found == wanted).then_some(checkpoint))
}

/// Where a lane begins that has no checkpoint.
fn first(scope: &Scope) -> Checkpoint {
    Checkpoint {
        stream: scope.stream(),
        epoch: scope.store.epoch.clone(),
        seq: scope.spec.start_seq.saturating_sub(1),
        time: 0,
        digest: scope.spec.digest.clone(),
        lease: 0,
        incarnation: scope.spec.incarnation,
        generation: 0,
        base: 0,
        parked: Vec::new(),
        unparked: Vec::new(),
        held: Vec::new(),
        ticked: None,
    }
}

/// A checkpoint that says all that waits. One whose base is gone is older than what the
/// streams keep, and so are the inputs that its base named.
async fn whole(
    bus: &Bus,
    scope: &Scope,
    mut checkpoint: Checkpoint,
) -> Result<Checkpoint, BusError> {
    if checkpoint.base == 0 {
        return Ok(checkpoint);
    }
    let base = commit::checkpoint_at(bus, scope, checkpoint.base).await?;
    if base.is_none() {
        metrics::counter!("function_inputs_lost_total", "function" => scope.spec.name.to_string())
            .increment(1);
        tracing::error!(
            function = %scope.spec.name,
            lane = scope.lane.0,
            base = checkpoint.base,
            "retention has taken the list of the lane's parked channels"
        );
    }
    let base = base.map(|base| base.parked).unwrap_or_default();
    checkpoint.parked = checkpoint.parked_over(&base);
    (checkpoint.base, checkpoint.unparked) = (0, Vec::new());
    Ok(checkpoint)
}

async fn verify(
    bus: &Bus,
    scope: &Scope,
    checkpoint: &Checkpoint,
    state: &StreamState,
    lost: &impl Fn() -> bool,
) -> Result<(), TakeoverError> {
    let (seq, stream) = (checkpoint.seq, scope.stream());
    if checkpoint.stream != stream {
        return Err(TakeoverError::Alarm(format!(
            "the checkpoint speaks of stream {}, the function reads {stream}",
            checkpoint.stream
        )));
    }
    if checkpoint.epoch != scope.store.epoch {
        return Err(TakeoverError::Alarm(format!(
            "the checkpoint was written in epoch {}, the store is in {}",
            checkpoint.epoch, scope.store.epoch
        )));
    }
    // A lane that has not read anything yet says no time.
    if checkpoint.time == 0 || seq < state.first_seq {
        return Ok(());
    }
    let asked = Instant::now();
    let stored = loop {
        match bus.get(&stream, seq).await? {
            Some(stored) if stored.time_us == checkpoint.time => return Ok(()),
            None if bus.stream_state(&stream).await?.first_seq > seq => return Ok(()),
            None if lost() => return Err(TakeoverError::Superseded),
            None if asked.elapsed() < ABSENT_AFTER => tokio::time::sleep(ASK_AGAIN).await,
            stored => break stored,
        }
    };
    let found = stored.map_or("nothing".into(), |stored| {
        format!("an event stored at {}", stored.time_us)
    });
    Err(TakeoverError::Alarm(format!(
        "the checkpoint says that sequence {seq} of {stream} was stored at {}, there is {found}: the stream was rolled back",
        checkpoint.time
    )))
}

#[cfg(test)]
mod tests;
