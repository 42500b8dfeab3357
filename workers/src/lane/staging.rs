//! What has been decided and is not yet stored.
//!
//! Owns the lane's progress, committed and after everything that is staged, and the
//! guard of the next commit. It must not know why something was decided.

use std::collections::VecDeque;

use protocol::bus::BATCH_EVENTS_MAX;
use protocol::bus::Outgoing;
use protocol::checkpoint::Checkpoint;

use super::messages::Scope;
use super::progress::{Effect, Progress};

/// Messages that are worth a commit although more inputs wait: an atomic batch
/// costs the server the same whatever its size, and this fills half of one.
pub const COMMIT_MESSAGES_TARGET: usize = 500;
/// Bytes that are worth a commit, and that one holds at most unless one input alone
/// has more: the server keeps an open batch in memory.
pub const COMMIT_BYTES_MAX: usize = 8 << 20;
/// Inputs passed over, without anything to store, after which the position is
/// committed all the same.
pub const SKIPPED_MAX: u64 = 10_000;
/// The same in time, microseconds.
pub const SKIPPED_US_MAX: u64 = 1_000_000;
/// What a full batch leaves for outputs beside the checkpoint.
pub const COMMIT_MESSAGES_MAX: usize = BATCH_EVENTS_MAX - 1;

/// One atomic batch to be.
#[derive(Debug)]
pub struct Commit {
    /// Outputs, outcome events and dead letters in input order.
    pub messages: Vec<Outgoing>,
    /// What they bring the lane to; goes last.
    pub checkpoint: Checkpoint,
    /// Sequence of the checkpoint before; 0: none.
    pub guard: u64,
}

#[derive(Debug)]
struct UnderWay {
    effects: usize,
    messages: usize,
    bytes: usize,
    progress: Progress,
}

/// Effects in the order in which they were decided.
#[derive(Debug)]
pub struct Staging {
    lease: u64,
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
    under_way: Option<UnderWay>,
}

impl Staging {
    /// Goes on from a checkpoint stored under the sequence `guard`; checkpoints to
    /// come say `lease`.
    pub fn resume(checkpoint: &Checkpoint, guard: u64, lease: u64) -> Self {
        let committed = Progress::of(checkpoint);
        Self {
            lease,
            view: committed.clone(),
            committed,
            guard,
            staged: VecDeque::new(),
            messages: 0,
            bytes: 0,
            skipped: 0,
            skipped_since: None,
            urgent_since: None,
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
        let late = self
            .skipped_since
            .is_some_and(|since| now >= since + SKIPPED_US_MAX);
        let large = self.messages >= COMMIT_MESSAGES_TARGET || self.bytes >= COMMIT_BYTES_MAX;
        late || large || self.skipped >= SKIPPED_MAX
    }

    /// When what is staged is stored although nothing more has come; outputs wait no
    /// longer than `linger`, microseconds.
    pub fn due(&self, linger: u64) -> Option<u64> {
        if self.staged.is_empty() {
            return None;
        }
        let skipped = self.skipped_since.map(|since| since + SKIPPED_US_MAX);
        let urgent = self.urgent_since.map(|since| since + linger);
        skipped.into_iter().chain(urgent).min()
    }

    fn has_outputs(&self) -> bool {
        self.staged.iter().any(|effect| !effect.is_skip())
    }

    /// Takes as many effects as fit one batch, split between inputs; at least one.
    pub fn commit(&mut self, scope: &Scope) -> Commit {
        let mut progress = self.committed.clone();
        let (mut messages, mut bytes, mut effects) = (Vec::new(), 0, 0);
        for effect in &mut self.staged {
            let fits = messages.len() + effect.messages.len() <= COMMIT_MESSAGES_MAX
                && bytes + effect.bytes() <= COMMIT_BYTES_MAX;
            if !fits && effects > 0 {
                break;
            }
            bytes += effect.bytes();
            progress.apply(effect);
            messages.append(&mut effect.messages);
            effects += 1;
        }
        let checkpoint = Checkpoint {
            stream: scope.stream(),
            epoch: scope.store.epoch.clone(),
            seq: progress.seq,
            time: progress.time,
            digest: scope.spec.digest.clone(),
            lease: self.lease,
            parked: progress.to_parked(),
        };
        self.under_way = Some(UnderWay {
            effects,
            messages: messages.len(),
            bytes,
            progress,
        });
        Commit {
            messages,
            checkpoint,
            guard: self.guard,
        }
    }

    /// The commit under way is stored, its checkpoint under this sequence.
    pub fn committed(&mut self, seq: u64) {
        let done = self.under_way.take().expect("a commit is under way");
        self.staged.drain(..done.effects);
        // What did not fit is late already.
        self.urgent_since = self.urgent_since.filter(|_| self.has_outputs());
        self.messages -= done.messages;
        self.bytes -= done.bytes;
        self.committed = done.progress;
        self.guard = seq;
        if self.staged.is_empty() {
            (self.skipped, self.skipped_since) = (0, None);
        }
    }
}
