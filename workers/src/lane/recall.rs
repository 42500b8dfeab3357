//! What a function remembers, between STATE and the lane.
//!
//! A change is stored before the outputs that go with it, as one batch behind a fence
//! that says which number the change has. It counts once a checkpoint says that number:
//! a new owner, who fences first, finds at most one change that does not, and takes it
//! back by writing what stood there before. STATE keeps two versions for that.
//!
//! Owns nothing. Reads come from the stream's leader; one that was deposed and does not
//! know it is found out by what this process has stored there itself.

use bus::{Bus, BusError};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use protocol::bus::{Expect, Outgoing};
use protocol::header::Headers;
use protocol::name::FunctionName;
use protocol::state::{ChannelState, Fence};
use protocol::stream::StreamName;
use protocol::subject::Subject;

use super::guard::{Landed, Place, last_guard, persist};
use super::messages::Scope;
use super::progress::Key;

/// Memories that are read at a time.
const READS_MAX: usize = 16;
/// Times that the owner before may write in between before the lane is given up again.
const ROUNDS_MAX: usize = 5;

/// A change of what is remembered, to be stored before its checkpoint.
#[derive(Debug)]
pub struct Change {
    /// Each channel's memory from now on, as it is stored.
    pub memories: Vec<(Key, Bytes)>,
    /// The number of the change; its checkpoint says the same.
    pub generation: u64,
}

/// Reads what is remembered of channels.
///
/// # Errors
/// Those of the bus; [`BusError::Malformed`] for what is no memory. Cancel safe.
pub async fn load(
    bus: &Bus,
    scope: &Scope,
    keys: Vec<Key>,
) -> Result<Vec<(Key, ChannelState)>, BusError> {
    let stream = StreamName::state(&scope.store.name);
    // Before and after: a leader that is deposed in between answers only one of them.
    bus.stream_state(&stream).await?;
    let reads = keys.into_iter().map(|key| {
        let subject = subject(scope, &key);
        read(bus.clone(), stream.clone(), subject, key)
    });
    // Made first: a closure that borrows may not live across the waits.
    let reads: Vec<_> = reads.collect();
    let read = futures_util::stream::iter(reads)
        .buffered(READS_MAX)
        .try_collect()
        .await?;
    bus.stream_state(&stream).await?;
    Ok(read)
}

async fn read(
    bus: Bus,
    stream: StreamName,
    subject: Subject,
    key: Key,
) -> Result<(Key, ChannelState), BusError> {
    let stored = bus.last_on(&stream, &subject).await?;
    let state = stored.map_or(Some(ChannelState::default()), |stored| {
        ChannelState::read(&stored.payload)
    });
    Ok((key, state.ok_or(BusError::Malformed { what: "memory" })?))
}

/// Stores a change behind the fence at the sequence `before`. Not cancel safe.
///
/// # Errors
/// A refusal that no repetition helps.
pub async fn store(
    bus: &Bus,
    scope: &Scope,
    change: &Change,
    (lease, before): (u64, u64),
    lost: impl Fn() -> bool,
) -> Result<Landed, BusError> {
    let fence = Fence {
        generation: change.generation,
        lease,
        channels: change.memories.iter().map(|(key, _)| key.clone()).collect(),
    };
    let memories = change.memories.iter().cloned();
    write(bus, scope, memories, (&fence, before), lost).await
}

/// Begins under a lease: takes back a change that no checkpoint says, and fences whoever
/// wrote it. `committed` is the number that the last checkpoint says; `None` if retention
/// has taken it, when what is there counts. Returns the fence's sequence and the number
/// of the last change; `None`: another owner keeps writing.
///
/// # Errors
/// Those of the bus. Not cancel safe.
pub async fn begin(
    bus: &Bus,
    scope: &Scope,
    (lease, committed): (u64, Option<u64>),
    lost: &impl Fn() -> bool,
) -> Result<Option<(u64, u64)>, BusError> {
    let place = place(scope);
    for _ in 0..ROUNDS_MAX {
        let last = last_guard::<Fence>(bus, &place.stream, &place.subject).await?;
        // Who is deposed may have answered: what the fence guards would be refused, but
        // a change that is taken back must be the last there is.
        bus.stream_state(&place.stream).await?;
        let (before, last) = match last {
            Some((seq, fence)) => (seq, fence),
            None => (
                0,
                Fence {
                    generation: 0,
                    lease,
                    channels: Vec::new(),
                },
            ),
        };
        let generation = committed.unwrap_or(last.generation);
        let open = match last.generation > generation {
            true => earlier(bus, scope, before, &last).await?,
            false => Vec::new(),
        };
        let fence = Fence {
            generation,
            lease,
            channels: Vec::new(),
        };
        match write(bus, scope, open.into_iter(), (&fence, before), lost).await? {
            Landed::At(seq) => return Ok(Some((seq, generation))),
            Landed::Superseded if lost() => return Ok(None),
            Landed::Superseded | Landed::Moved => {}
        }
    }
    Ok(None)
}

/// What was remembered before a change that ends with the fence at `at`.
async fn earlier(
    bus: &Bus,
    scope: &Scope,
    at: u64,
    fence: &Fence,
) -> Result<Vec<(Key, Bytes)>, BusError> {
    let stream = StreamName::state(&scope.store.name);
    // A batch is contiguous: its first message is that many before its fence.
    let first = at.saturating_sub(fence.channels.len() as u64);
    let reads = fence.channels.iter().map(|key| {
        let subject = subject(scope, key);
        read_before(bus.clone(), stream.clone(), subject, key.clone(), first)
    });
    let reads: Vec<_> = reads.collect();
    futures_util::stream::iter(reads)
        .buffered(READS_MAX)
        .try_collect()
        .await
}

async fn read_before(
    bus: Bus,
    stream: StreamName,
    subject: Subject,
    key: Key,
    first: u64,
) -> Result<(Key, Bytes), BusError> {
    let oldest = bus.first_on(&stream, &subject).await?;
    let before = oldest.filter(|stored| stored.seq < first);
    Ok((key, before.map_or(Bytes::new(), |stored| stored.payload)))
}

async fn write(
    bus: &Bus,
    scope: &Scope,
    memories: impl Iterator<Item = (Key, Bytes)>,
    (fence, before): (&Fence, u64),
    lost: impl Fn() -> bool,
) -> Result<Landed, BusError> {
    let place = place(scope);
    let mut batch: Vec<Outgoing> = memories
        .map(|(key, memory)| message(subject(scope, &key), memory, None))
        .collect();
    let json = serde_json::to_vec(fence).expect("a fence has only names and numbers");
    let guard = Some(Expect::LastOnSubject(before));
    batch.push(message(place.subject.clone(), json.into(), guard));
    persist(bus, &place, &batch, (fence, before), lost).await
}

fn message(subject: Subject, payload: Bytes, expect: Option<Expect>) -> Outgoing {
    Outgoing {
        subject,
        headers: Headers::new(),
        payload,
        msg_id: None,
        expect,
    }
}

fn subject(scope: &Scope, (tenant, channel): &Key) -> Subject {
    let store = &scope.store.name;
    Subject::state(store, scope.lane, life(scope), tenant, channel)
}

fn place(scope: &Scope) -> Place {
    Place {
        stream: StreamName::state(&scope.store.name),
        subject: Subject::fence(&scope.store.name, scope.lane, life(scope)),
    }
}

/// The function, and which life of it: a new one remembers nothing of the one before.
fn life(scope: &Scope) -> (&FunctionName, u64) {
    (&scope.spec.name, scope.spec.incarnation)
}
