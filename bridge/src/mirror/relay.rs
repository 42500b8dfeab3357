//! When to write and when to commit: the state machine of one shard.
//!
//! Takes stored events, commits and the time; returns what to do. Owns the place in
//! the stream and what waits; knows nothing of NATS, Kafka or threads, and never
//! waits itself.
//!
//! While the mirror keeps up, a transaction is committed as soon as the commit
//! interval since the last one has passed: the first event after a pause at once.
//! While it lags, transactions grow to their limits, because Kafka makes each wait
//! 20 ms for its predecessor.

use std::time::Duration;

use protocol::bus::Stored;
use protocol::record::{MirrorGap, MirrorGapReason};
use tokio::time::Instant;

/// Events after which a transaction is committed: larger ones gain nothing.
pub const TRANSACTION_EVENTS_MAX: usize = 10_000;
/// Payload bytes after which a transaction is committed.
pub const TRANSACTION_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Longest time that a transaction gathers events while the mirror lags.
pub const LAGGING_INTERVAL: Duration = Duration::from_millis(crate::config::COMMIT_MS_MAX);

/// What to do next, in this order.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    /// Write these into the open transaction, or begin one with them.
    Produce(Vec<Stored>),
    /// Commit: everything up to here is written or recorded as a gap.
    Commit(CommitPoint),
}

/// How far a transaction goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommitPoint {
    /// The last sequence.
    pub seq: u64,
    /// Store time of the last event, microseconds since 1970; `None` if there was
    /// none in this transaction.
    pub time_us: Option<u64>,
    /// Gaps found since the last commit.
    pub gaps: Vec<MirrorGap>,
}

/// The state machine.
#[derive(Debug)]
pub struct Relay {
    interval: Duration,
    /// The next sequence that should come.
    next: u64,
    phase: Phase,
    open: CommitPoint,
    open_size: Size,
    waiting: Vec<Stored>,
    waiting_size: Size,
    waiting_gaps: Vec<MirrorGap>,
    /// Whether the reader has nothing more at the moment.
    caught_up: bool,
    last_commit: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// No transaction.
    Idle,
    /// A transaction gathers events since then.
    Open(Instant),
    /// A transaction is being committed; events wait.
    Committing,
}

#[derive(Debug, Clone, Copy, Default)]
struct Size {
    events: usize,
    bytes: usize,
}

impl Size {
    fn add(&mut self, events: &[Stored]) {
        self.events += events.len();
        self.bytes += events
            .iter()
            .map(|event| event.payload.len())
            .sum::<usize>();
    }

    fn is_full(self) -> bool {
        self.events >= TRANSACTION_EVENTS_MAX || self.bytes >= TRANSACTION_BYTES_MAX
    }
}

impl Relay {
    /// Starts behind `seq`; `interval` is the time between commits while it keeps up.
    pub fn new(seq: u64, interval: Duration) -> Self {
        Self {
            interval,
            next: seq + 1,
            phase: Phase::Idle,
            open: CommitPoint::default(),
            open_size: Size::default(),
            waiting: Vec::new(),
            waiting_size: Size::default(),
            waiting_gaps: Vec::new(),
            caught_up: true,
            last_commit: None,
        }
    }

    /// Whether it takes more events now. While a transaction is being committed, one
    /// more may wait; policy past that: stop reading.
    pub fn wants_events(&self) -> bool {
        self.phase != Phase::Committing || !self.waiting_size.is_full()
    }

    /// Whether sequences are missing before or between these events.
    pub fn jumps(&self, events: &[Stored]) -> bool {
        let mut next = self.next;
        events.iter().any(|event| {
            let jump = event.seq != next;
            next = event.seq + 1;
            jump
        })
    }

    /// Takes what the reader gave. `first_seq` is the stream's first sequence, looked
    /// up if [`Self::jumps`]; `caught_up`: nothing more waits in the stream.
    pub fn events(
        &mut self,
        events: Vec<Stored>,
        first_seq: u64,
        caught_up: bool,
        now: Instant,
    ) -> Vec<Action> {
        let mut gaps = Vec::new();
        for event in &events {
            gaps.extend(lost(self.next, event.seq, first_seq));
            self.next = event.seq + 1;
        }
        self.caught_up = caught_up;
        self.take(events, gaps, now)
    }

    /// Takes the news that the stream begins at `first_seq`: what should come before
    /// it never will.
    pub fn begins_at(&mut self, first_seq: u64, now: Instant) -> Vec<Action> {
        let gaps: Vec<_> = lost(self.next, first_seq, first_seq).collect();
        if gaps.is_empty() {
            return Vec::new();
        }
        self.next = first_seq;
        self.take(Vec::new(), gaps, now)
    }

    /// Takes the news that the transaction is committed.
    pub fn committed(&mut self, now: Instant) -> Vec<Action> {
        self.last_commit = Some(now);
        self.phase = Phase::Idle;
        (self.open, self.open_size) = (CommitPoint::default(), Size::default());
        self.waiting_size = Size::default();
        let (events, gaps) = (
            std::mem::take(&mut self.waiting),
            std::mem::take(&mut self.waiting_gaps),
        );
        self.take(events, gaps, now)
    }

    /// Whether no transaction is open or being committed.
    pub fn is_idle(&self) -> bool {
        self.phase == Phase::Idle
    }

    /// Commits what is open, however little it is: the caller is about to do something
    /// that may take longer than a transaction may live.
    pub fn flush(&mut self) -> Option<Action> {
        matches!(self.phase, Phase::Open(_)).then(|| self.commit())
    }

    /// Looks at the time.
    pub fn tick(&mut self, now: Instant) -> Vec<Action> {
        self.due(now).into_iter().collect()
    }

    /// When [`Self::tick`] is due.
    pub fn deadline(&self) -> Option<Instant> {
        let Phase::Open(since) = self.phase else {
            return None;
        };
        match (self.caught_up, self.last_commit) {
            (true, Some(last)) => Some(last + self.interval),
            (true, None) => Some(since),
            (false, _) => Some(since + LAGGING_INTERVAL),
        }
    }

    fn take(&mut self, events: Vec<Stored>, gaps: Vec<MirrorGap>, now: Instant) -> Vec<Action> {
        if events.is_empty() && gaps.is_empty() {
            return Vec::new();
        }
        if self.phase == Phase::Committing {
            self.waiting_size.add(&events);
            self.waiting.extend(events);
            self.waiting_gaps.extend(gaps);
            return Vec::new();
        }
        if self.phase == Phase::Idle {
            self.phase = Phase::Open(now);
        }
        self.open_size.add(&events);
        self.open.seq = events
            .last()
            .map_or(0, |event| event.seq)
            .max(gaps.last().map_or(0, |gap| gap.to))
            .max(self.open.seq);
        self.open.time_us = events
            .last()
            .map(|event| event.time_us)
            .or(self.open.time_us);
        self.open.gaps.extend(gaps);
        let mut actions = vec![Action::Produce(events)];
        actions.extend(self.due(now));
        actions
    }

    fn due(&mut self, now: Instant) -> Option<Action> {
        let due = self.deadline().is_some_and(|deadline| now >= deadline);
        if !(due || self.open_size.is_full() && self.phase != Phase::Committing) {
            return None;
        }
        Some(self.commit())
    }

    fn commit(&mut self) -> Action {
        self.phase = Phase::Committing;
        Action::Commit(self.open.clone())
    }
}

/// The gaps from `from` to before `to`: what is below the stream's first sequence
/// went by retention, anything else is a hole.
fn lost(from: u64, to: u64, first_seq: u64) -> impl Iterator<Item = MirrorGap> {
    let kept = first_seq.clamp(from, to.max(from));
    let gap = |from: u64, to: u64, reason| {
        (from < to).then(|| MirrorGap {
            from,
            to: to - 1,
            reason,
            topic: None,
        })
    };
    gap(from, kept, MirrorGapReason::Retention)
        .into_iter()
        .chain(gap(kept, to, MirrorGapReason::Hole))
}

#[cfg(test)]
mod tests;
