//! Finds the commit that settled an input: the first checkpoint of its function and lane
//! that has it behind itself, and what was committed with it.
//!
//! Owns nothing. Checkpoints follow one another, and once an input is settled it stays
//! so; so the first is found by halving (see [`crate::bisection`]), whatever has come
//! since. A batch is stored in one piece, so what belongs to a checkpoint stands right
//! before it.

use std::collections::HashSet;

use bus::{Bus, BusError, Portion};
use futures_util::StreamExt;
use protocol::bus::{BATCH_EVENTS_MAX, Stored};
use protocol::checkpoint::{Checkpoint, Parked};
use protocol::lane::Lane;
use protocol::name::{FunctionName, StoreName};
use protocol::stream::StreamName;
use protocol::subject::{Kind, Subject};

use crate::bisection::Bisection;
use crate::standing::{Input, Standing};

/// Bytes of a batch that are read: what a commit may hold; what is more is left out.
const BATCH_BYTES_MAX: usize = 16 << 20;

/// A function on a lane.
#[derive(Debug, Clone, Copy)]
pub struct Owner<'a> {
    /// The store.
    pub store: &'a StoreName,
    /// The lane.
    pub lane: Lane,
    /// The function.
    pub function: &'a FunctionName,
}

/// A checkpoint as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Its sequence in EVENTS.
    pub seq: u64,
    /// When it was stored, microseconds since 1970.
    pub time_us: u64,
    /// What it says.
    pub checkpoint: Checkpoint,
    /// Every channel that waits.
    pub parked: Vec<Parked>,
}

/// How an input was settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settlement {
    /// By this commit.
    By {
        /// The checkpoint that ends it.
        mark: Box<Mark>,
        /// What may belong to it of the stream: everything since the checkpoint before.
        batch: Vec<Stored>,
        /// Some of that was left out.
        cut: bool,
    },
    /// Not yet.
    Open(Standing),
    /// What would say so is no longer kept.
    Gone,
}

/// Finds it. Cancel safe.
///
/// # Errors
/// Those of the bus.
pub async fn find(bus: &Bus, owner: Owner<'_>, input: &Input) -> Result<Settlement, BusError> {
    let stream = StreamName::events(owner.store);
    let subject = Subject::checkpoint(owner.store, owner.lane, owner.function);
    let Some(last) = bus.last_on(&stream, &subject).await? else {
        return Ok(Settlement::Open(Standing::Behind));
    };
    let Some(last) = mark(bus, &stream, last).await? else {
        return Ok(Settlement::Gone);
    };
    match input.at(&last.checkpoint, &last.parked) {
        Standing::Settled => {}
        standing => return Ok(Settlement::Open(standing)),
    }
    let first = bus.first_on(&stream, &subject).await?;
    let Some(first) = first.filter(|first| first.seq < last.seq) else {
        return only(bus, owner, input, last).await;
    };
    let settles = |mark: &Mark| input.at(&mark.checkpoint, &mark.parked) == Standing::Settled;
    // Checkpoints that cannot be judged: those that they build on are gone.
    let mut unclear = HashSet::new();
    match mark(bus, &stream, first.clone()).await? {
        Some(first) if settles(&first) => return only(bus, owner, input, first).await,
        Some(_) => {}
        None => drop(unclear.insert(first.seq)),
    }
    let mut bisection = Bisection::new(first.seq, last.seq);
    let mut by = last;
    while let Some(question) = bisection.question() {
        let answer = bus.last_before(&stream, &subject, question).await?;
        let Some(seq) = answer.filter(|_| !bisection.is_known(answer)) else {
            bisection.nothing(question);
            continue;
        };
        let Some(stored) = bus.get(&stream, seq).await? else {
            // Retention has passed it meanwhile.
            return Ok(Settlement::Gone);
        };
        let found = mark(bus, &stream, stored).await?;
        if found.is_none() {
            unclear.insert(seq);
        }
        let holds = found.as_ref().is_some_and(settles);
        bisection.found(question, seq, holds);
        if let Some(found) = found.filter(|_| holds) {
            by = found;
        }
    }
    let (_, before) = bisection.end();
    let (batch, cut) = batch(bus, owner, before, by.seq).await?;
    if unclear.contains(&before) && !names(&batch, owner, input) {
        return Ok(Settlement::Gone);
    }
    Ok(Settlement::By {
        mark: Box::new(by),
        batch,
        cut,
    })
}

/// The first checkpoint that is kept has the input behind it: it is the one if the batch
/// says so, or if there never was one before.
async fn only(
    bus: &Bus,
    owner: Owner<'_>,
    input: &Input,
    mark: Mark,
) -> Result<Settlement, BusError> {
    let state = bus.stream_state(&StreamName::events(owner.store)).await?;
    let (batch, cut) = batch(bus, owner, 0, mark.seq).await?;
    if !names(&batch, owner, input) && state.first_seq > 1 {
        return Ok(Settlement::Gone);
    }
    Ok(Settlement::By {
        mark: Box::new(mark),
        batch,
        cut,
    })
}

/// Whether something was made of an input in a batch.
fn names(batch: &[Stored], owner: Owner<'_>, input: &Input) -> bool {
    let mut batch = batch.iter();
    batch.any(|stored| input.made(stored, owner.function))
}

/// Reads a checkpoint; `None`: it is none, or the one that it builds on is gone.
async fn mark(bus: &Bus, stream: &StreamName, stored: Stored) -> Result<Option<Mark>, BusError> {
    let Some(checkpoint) = read(&stored) else {
        return Ok(None);
    };
    let base = match checkpoint.base {
        0 => Vec::new(),
        base => match bus.get(stream, base).await?.as_ref().and_then(read) {
            Some(base) => base.parked,
            None => return Ok(None),
        },
    };
    let parked = checkpoint.parked_over(&base);
    Ok(Some(Mark {
        seq: stored.seq,
        time_us: stored.time_us,
        checkpoint,
        parked,
    }))
}

fn read(stored: &Stored) -> Option<Checkpoint> {
    serde_json::from_slice(&stored.payload).ok()
}

/// What stands before a checkpoint and may be of its batch: events, outcomes and dead
/// letters of anybody.
async fn batch(
    bus: &Bus,
    owner: Owner<'_>,
    behind: u64,
    end: u64,
) -> Result<(Vec<Stored>, bool), BusError> {
    let stream = StreamName::events(owner.store);
    let from = (behind + 1).max(end.saturating_sub(BATCH_EVENTS_MAX as u64));
    let filters = [
        Subject::store_filter(Kind::Ev, owner.store),
        Subject::dead_letter(owner.store, owner.lane, owner.function),
    ];
    let (mut all, mut bytes) = (Vec::new(), 0);
    for filter in &filters {
        let portion = Portion {
            events: 256,
            bytes: 1 << 20,
        };
        let scan = bus.scan_page(&stream, filter, (from, end - 1), portion);
        let mut scan = scan.await;
        while let Some(stored) = scan.next().await {
            let stored = stored?;
            bytes += stored.payload.len();
            if bytes > BATCH_BYTES_MAX {
                return Ok((all, true));
            }
            all.push(stored);
        }
    }
    Ok((all, false))
}
