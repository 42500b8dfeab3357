//! What has been decided and is not yet stored.
//!
//! Owns the lane's progress, committed and after everything that is staged, and the
//! guard of the next commit. It must not know why something was decided.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use protocol::bus::BATCH_EVENTS_MAX;
use protocol::bus::Outgoing;
use protocol::checkpoint::{Checkpoint, Unparked};

use super::messages::Scope;
use super::progress::{Effect, Key, Memory, Progress};
use super::recall::Change;

/// Messages that are worth a commit although more inputs wait: an atomic batch
/// costs the server the same whatever its size, and this fills half of one.
pub const COMMIT_MESSAGES_TARGET: usize = 500;
/// Bytes that are worth a commit, and that one holds at most unless one input alone
/// has more: the server keeps an open batch in memory.
pub const COMMIT_BYTES_MAX: usize = 8 << 20;
/// Inputs passed over, without anything to store, after which the position is
/// committed all the same.
pub const SKIPPED_MAX: u64 = 10_000;
/// The same in time, microseconds: what another owner would pass over once more.
pub const SKIPPED_US_MAX: u64 = 5_000_000;
/// How long attempts that settled nothing wait for a commit, microseconds, and how much
/// longer for each channel that waits. What another owner would try once more; and what
/// bounds the bytes that waiting costs, since a list of all channels grows with them.
const ATTEMPTS_US: u64 = 250_000;
/// See [`ATTEMPTS_US`].
const ATTEMPTS_US_EACH: u64 = 2_000;
/// Changes of waiting channels that a checkpoint says over an earlier one, its base; with
/// more it says all that wait.
pub const CHANGES_MAX: usize = 32;
/// How old a base may become, microseconds: far younger than what a stream keeps.
const BASE_US_MAX: u64 = 60_000_000;
/// What a full batch leaves for outputs beside the checkpoint.
pub const COMMIT_MESSAGES_MAX: usize = BATCH_EVENTS_MAX - 1;

/// One atomic batch to be.
#[derive(Debug)]
pub struct Commit {
    /// Outputs, outcome events and dead letters in input order.
    pub messages: Vec<Outgoing>,
    /// What is remembered from then on; stored before the rest.
    pub change: Option<Change>,
    /// What they bring the lane to; goes last.
    pub checkpoint: Checkpoint,
    /// Sequence of the checkpoint before; 0: none.
    pub guard: u64,
}

#[derive(Debug)]
struct UnderWay {
    /// Whether it says all that waits; otherwise what it changes over its base.
    whole: bool,
    changed: BTreeSet<Key>,
    now: u64,
    effects: usize,
    messages: usize,
    bytes: usize,
    progress: Progress,
    generation: u64,
    /// Channels of which something is remembered, one for each effect.
    remembered: Vec<Key>,
    since: Vec<u64>,
}

/// What a commit has stored.
#[derive(Debug)]
pub struct Committed {
    /// Channels of which something is remembered in it, one for each effect.
    pub remembered: Vec<Key>,
    /// When the inputs were stored of which its messages are made, microseconds since
    /// 1970.
    pub since: Vec<u64>,
}

/// Effects in the order in which they were decided.
#[derive(Debug)]
pub struct Staging {
    lease: u64,
    /// The number of the last change of what is remembered.
    generation: u64,
    committed: Progress,
    guard: u64,
    /// `committed` after everything that is staged.
    pub view: Progress,
    staged: VecDeque<Effect>,
    messages: usize,
    bytes: usize,
    skipped: u64,
    skipped_since: Option<u64>,
    /// When the first of the outputs was staged that are not under way.
    urgent_since: Option<u64>,
    /// The same for attempts that settled nothing.
    tried_since: Option<u64>,
    /// The last checkpoint that said all that waits: its sequence, and when it was made.
    base: Option<(u64, u64)>,
    /// Channels that have been changed since.
    changed: BTreeSet<Key>,
    under_way: Option<UnderWay>,
}

impl Staging {
    /// Goes on from a checkpoint stored under the sequence `guard`; checkpoints to
    /// come say `lease`.
    pub fn resume(checkpoint: &Checkpoint, guard: u64, lease: u64) -> Self {
        let committed = Progress::of(checkpoint);
        Self {
            lease,
            generation: checkpoint.generation,
            view: committed.clone(),
            committed,
            guard,
            staged: VecDeque::new(),
            messages: 0,
            bytes: 0,
            skipped: 0,
            skipped_since: None,
            urgent_since: None,
            tried_since: None,
            base: None,
            changed: BTreeSet::new(),
            under_way: None,
        }
    }

    /// Adds an effect; `now` is microseconds since 1970.
    pub fn stage(&mut self, effect: Effect, now: u64) {
        self.view.apply(&effect);
        self.messages += effect.messages.len();
        self.bytes += effect.bytes();
        if effect.is_skip() {
            self.skipped += 1;
            self.skipped_since.get_or_insert(now);
            // The last may be part of a commit under way, but then nothing is staged.
            if let Some(last) = self.staged.back_mut().filter(|last| last.is_skip()) {
                last.at = effect.at;
                return;
            }
        } else if effect.messages.is_empty() {
            self.tried_since.get_or_insert(now);
        } else {
            self.urgent_since.get_or_insert(now);
        }
        self.staged.push_back(effect);
    }

    /// Whether a commit is under way.
    pub fn is_committing(&self) -> bool {
        self.under_way.is_some()
    }

    /// Whether nothing is staged.
    pub fn is_empty(&self) -> bool {
        self.staged.is_empty()
    }

    /// Whether enough is staged that a commit should not wait for more inputs.
    pub fn is_enough(&self, now: u64) -> bool {
        let late = self.unhurried().is_some_and(|due| now >= due);
        let large = self.messages >= COMMIT_MESSAGES_TARGET || self.bytes >= COMMIT_BYTES_MAX;
        late || large || self.skipped >= SKIPPED_MAX
    }

    /// When what is staged is stored although nothing more has come; outputs wait no
    /// longer than `linger`, microseconds.
    pub fn due(&self, linger: u64) -> Option<u64> {
        if self.staged.is_empty() {
            return None;
        }
        let urgent = self.urgent_since.map(|since| since + linger);
        self.unhurried().into_iter().chain(urgent).min()
    }

    /// When what nobody waits for is stored.
    fn unhurried(&self) -> Option<u64> {
        let skipped = self.skipped_since.map(|since| since + SKIPPED_US_MAX);
        let wait = ATTEMPTS_US + ATTEMPTS_US_EACH * self.view.parked.len() as u64;
        let tried = self.tried_since.map(|since| since + wait);
        skipped.into_iter().chain(tried).min()
    }

    fn has_outputs(&self) -> bool {
        let mut staged = self.staged.iter();
        staged.any(|effect| !effect.messages.is_empty())
    }

    fn has_attempts(&self) -> bool {
        let mut staged = self.staged.iter();
        staged.any(|effect| !effect.is_skip() && effect.messages.is_empty())
    }

    /// Takes as many effects as fit one batch, split between inputs; at least one.
    /// `now` is microseconds since 1970.
    pub fn commit(&mut self, scope: &Scope, now: u64) -> Commit {
        let mut progress = self.committed.clone();
        let mut changed = self.changed.clone();
        let (mut messages, mut bytes, mut effects) = (Vec::new(), 0, 0);
        let (mut memories, mut remembered) = (BTreeMap::new(), Vec::new());
        let mut since = Vec::new();
        for effect in &mut self.staged {
            let fits = messages.len() + effect.messages.len() <= COMMIT_MESSAGES_MAX
                && bytes + effect.bytes() <= COMMIT_BYTES_MAX
                && remembered.len() < COMMIT_MESSAGES_MAX;
            if !fits && effects > 0 {
                break;
            }
            bytes += effect.bytes();
            progress.apply(effect);
            changed.extend(effect.park.iter().map(|(key, _)| key.clone()));
            since.extend(effect.since.filter(|_| !effect.messages.is_empty()));
            messages.append(&mut effect.messages);
            if let Some(Memory {
                key,
                state,
                time_us,
            }) = effect.memory.take()
            {
                remembered.push(key.clone());
                memories.insert(key, state.to_payload(time_us));
            }
            effects += 1;
        }
        let generation = self.generation + u64::from(!memories.is_empty());
        let change = (!memories.is_empty()).then(|| Change {
            memories: memories.into_iter().collect(),
            generation,
        });
        let young = self.base.filter(|(_, made)| now < made + BASE_US_MAX);
        let base = young.filter(|_| changed.len() <= CHANGES_MAX && !progress.parked.is_empty());
        let base = base.map(|(seq, _)| seq);
        let checkpoint = Checkpoint {
            generation,
            ..self.checkpoint(scope, &progress, base, &changed)
        };
        self.under_way = Some(UnderWay {
            whole: base.is_none(),
            changed,
            now,
            effects,
            messages: messages.len(),
            bytes,
            progress,
            generation,
            remembered,
            since,
        });
        Commit {
            messages,
            change,
            checkpoint,
            guard: self.guard,
        }
    }

    fn checkpoint(
        &self,
        scope: &Scope,
        progress: &Progress,
        base: Option<u64>,
        changed: &BTreeSet<Key>,
    ) -> Checkpoint {
        let gone = changed
            .iter()
            .filter(|key| !progress.parked.contains_key(key));
        let gone = gone.map(|(tenant, channel)| Unparked {
            tenant: tenant.clone(),
            channel: channel.clone(),
        });
        let (parked, unparked) = match base {
            Some(_) => (
                progress.to_parked(|key| changed.contains(key)),
                gone.collect(),
            ),
            None => (progress.to_parked(|_| true), Vec::new()),
        };
        Checkpoint {
            stream: scope.stream(),
            epoch: scope.store.epoch.clone(),
            seq: progress.seq,
            time: progress.time,
            digest: scope.spec.digest.clone(),
            lease: self.lease,
            incarnation: scope.spec.incarnation,
            generation: self.generation,
            base: base.unwrap_or(0),
            parked,
            unparked,
            held: progress.to_held(),
            ticked: progress.ticked.clone(),
        }
    }

    /// The commit under way is stored, its checkpoint under this sequence.
    pub fn committed(&mut self, seq: u64) -> Committed {
        let done = self.under_way.take().expect("a commit is under way");
        self.staged.drain(..done.effects);
        if done.whole {
            self.base = (!done.progress.parked.is_empty()).then_some((seq, done.now));
            self.changed.clear();
        } else {
            self.changed = done.changed;
        }
        self.tried_since = self.tried_since.filter(|_| self.has_attempts());
        // What did not fit is late already.
        self.urgent_since = self.urgent_since.filter(|_| self.has_outputs());
        self.messages -= done.messages;
        self.bytes -= done.bytes;
        self.committed = done.progress;
        self.generation = done.generation;
        self.guard = seq;
        if self.staged.is_empty() {
            (self.skipped, self.skipped_since) = (0, None);
        }
        Committed {
            remembered: done.remembered,
            since: done.since,
        }
    }
}
