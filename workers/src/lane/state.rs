//! One function on one lane, as a state machine: events, guests' answers, commits
//! and time go in, what to do next comes out. It never awaits.
//!
//! Owns what waits in the lane, what is being run and, in [`Staging`], what has been
//! decided. One thing is under way at a time: a run, a read of a parked channel, or a
//! commit. It must not know NATS, Wasm or clocks.
//!
//! Order: inputs of one channel are settled in stream order. A channel whose input
//! failed is parked: the lane's position moves on past its later inputs, which are
//! read again, in order, when the channel is due. A tenant of which too many channels are
//! parked is held: the position moves on past all its later inputs, which are read
//! again, in order, when enough of its channels are free.

use std::collections::{BTreeMap, VecDeque};

use protocol::bus::Stored;
use protocol::checkpoint::{Checkpoint, HELD_MAX, PARKED_MAX, PARKED_TENANT_MAX};
use protocol::name::Tenant;
use protocol::subject::Subject;

use super::memory::Memories;
use super::messages::Scope;
use super::progress::{Effect, Key, Waiting};
use super::slot::{Slot, Slots};
use super::staging::{Commit, SKIPPED_US_MAX, Staging};
use super::tally::{Tallies, Tally};
use super::ticks::Clock;
use host::pack::{Item, packed_bytes};
use host::reply::Handled;

mod held;
mod remember;
mod settle;
mod tick;

/// Most bytes handed to a guest in one batch, unless one event alone has more.
pub const RUN_BYTES_MAX: usize = 4 << 20;
/// Events of a parked channel that are read at a time.
pub const PARKED_READ_MAX: usize = 64;
/// Wait before a parked channel is read again of which a lagging server did not
/// know everything, microseconds.
const REREAD_US: u64 = 50_000;

/// What to do next. Each but `Wait`, `Halted` and `Done` is answered with the
/// method that it names.
#[derive(Debug)]
pub enum Action {
    /// Hand these events to the guest, then [`Machine::ran`] or [`Machine::run_failed`].
    Run(Vec<Item>),
    /// Read what is remembered of these channels, then [`Machine::recalled`] or
    /// [`Machine::run_failed`].
    Recall(Vec<Key>),
    /// Store this atomically, the checkpoint last and guarded, then [`Machine::committed`].
    Commit(Box<Commit>),
    /// Read a channel from one sequence to another, then [`Machine::parked_read`].
    ReadParked {
        /// Its subject in the input stream.
        subject: Subject,
        /// First sequence.
        from: u64,
        /// Last sequence.
        to: u64,
    },
    /// Ask the server that leads EVENTS for its time, then [`Machine::told_time`].
    AskTime,
    /// Nothing to do before this time (microseconds since 1970) or, if `hungry`,
    /// before [`Machine::push`].
    Wait {
        /// When something is due.
        until: Option<u64>,
        /// Whether events are wanted; otherwise the lane pauses.
        hungry: bool,
    },
    /// The function stopped on this lane, for this reason, until [`Machine::reload`].
    Halted(String),
    /// Drained: everything is committed.
    Done,
}

#[derive(Debug)]
enum Flight {
    /// What follows waits for what is remembered.
    Recall(Box<Flight>, Vec<Item>),
    Main(Slots),
    Reading(Key),
    AskingTime,
    /// Reads what a tenant has that is held.
    ReadingHeld(Tenant),
    Held {
        tenant: Tenant,
        slots: Slots,
        complete: bool,
    },
    Parked {
        key: Key,
        slots: Slots,
        complete: bool,
    },
}

/// The state machine.
#[derive(Debug)]
pub struct Machine {
    scope: Scope,
    batch_events: usize,
    staging: Staging,
    memories: Memories,
    queue: VecDeque<Stored>,
    flight: Option<Flight>,
    parked_turn: bool,
    halted: Option<String>,
    draining: bool,
    /// The first sequence that the stream keeps, as far as is known.
    kept_from: u64,
    /// Most channels of one tenant that may be parked.
    tenant_max: usize,
    /// When a held tenant is read again of which a lagging server did not know everything.
    held_due: BTreeMap<Tenant, u64>,
    clock: Clock,
    tallies: Tallies,
    /// When the inputs were stored of which something was committed since somebody last
    /// asked: as many as a commit holds.
    since: Vec<u64>,
}

impl Machine {
    /// Goes on from a checkpoint that is stored under the sequence `guard` and was
    /// written under the lease revision `lease`.
    pub fn resume(
        scope: Scope,
        checkpoint: &Checkpoint,
        guard: u64,
        lease: u64,
        batch_events: usize,
    ) -> Self {
        Self {
            scope,
            batch_events: batch_events.max(1),
            staging: Staging::resume(checkpoint, guard, lease),
            memories: Memories::default(),
            queue: VecDeque::new(),
            flight: None,
            parked_turn: false,
            halted: None,
            draining: false,
            kept_from: 0,
            tenant_max: PARKED_TENANT_MAX,
            held_due: BTreeMap::new(),
            clock: Clock::default(),
            tallies: Tallies::default(),
            since: Vec::new(),
        }
    }

    /// Events of the lane, in order, each once.
    pub fn push(&mut self, events: Vec<Stored>) {
        self.queue.extend(events);
    }

    /// The position up to which everything is settled or parked, committed or not.
    pub fn position(&self) -> u64 {
        self.staging.view.seq
    }

    /// Whether nothing was read that is not settled, and nothing settled that is not
    /// committed, but for channels and tenants that wait.
    pub fn is_quiet(&self) -> bool {
        self.flight.is_none() && self.queue.is_empty() && self.staging.is_empty()
    }

    /// No input of the lane follows its position up to a later message of the stream, given
    /// by its sequence and store time: committed with whatever comes, and at once. Only
    /// while [`Self::is_quiet`].
    pub fn move_on(&mut self, at: (u64, u64), now: u64) {
        debug_assert!(self.is_quiet() && at.0 > self.position());
        self.stage(Effect::settled(at, Vec::new()), now - SKIPPED_US_MAX);
    }

    /// Another share of a tenant.
    #[cfg(test)]
    pub fn set_tenant_max(&mut self, tenant_max: usize) {
        self.tenant_max = tenant_max;
    }

    /// Channels that wait.
    pub fn parked(&self) -> usize {
        self.staging.view.parked.len()
    }

    /// Events that were read and are not settled, but for those of parked channels.
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    /// When the oldest input was stored that was read and is not settled, or first tried
    /// if its channel waits; microseconds since 1970.
    pub fn oldest(&self) -> Option<u64> {
        let parked = self.staging.view.parked.values();
        let tried = parked.filter(|waiting| waiting.attempts > 0);
        let tried = tried.map(|waiting| waiting.since);
        let queued = self.queue.front().map(|stored| stored.time_us);
        tried.chain(queued).min()
    }

    /// What has happened since the last call: by the function as it is deployed, and by
    /// the version on trial.
    pub fn take_tallies(&mut self) -> (Tally, Tally) {
        let Tallies { own, tried } = std::mem::take(&mut self.tallies);
        (own, tried)
    }

    /// When the inputs were stored of which something was committed since the last call,
    /// microseconds since 1970.
    pub fn take_since(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.since)
    }

    /// Goes on under another spec of the same function; ends a halt.
    pub fn reload(&mut self, scope: Scope) {
        self.scope = scope;
        self.halted = None;
    }

    /// The stream keeps nothing before this sequence.
    pub fn keeps_from(&mut self, first: u64) {
        self.kept_from = first;
    }

    /// Commits what is staged and then is done; what was not run is left.
    pub fn drain(&mut self) {
        self.draining = true;
    }

    /// What to do next, at this time.
    pub fn next(&mut self, now: u64) -> Action {
        assert!(
            self.flight.is_none() && !self.staging.is_committing(),
            "the action before has been answered"
        );
        loop {
            if self.wants_commit(now) {
                let commit = self.staging.commit(&self.scope, now);
                return Action::Commit(Box::new(commit));
            }
            if self.draining {
                return Action::Done;
            }
            if let Some(reason) = &self.halted {
                return Action::Halted(reason.clone());
            }
            if self.next_tick().is_some_and(|due| due <= now) {
                return self.ask_time();
            }
            let full = self.is_full();
            let main = !full && !self.queue.is_empty();
            if self.parked_turn || !main {
                if let Some(key) = self.due(now) {
                    self.parked_turn = false;
                    match self.read_parked(key, now) {
                        Some(action) => return action,
                        None => continue,
                    }
                }
                if let Some(tenant) = self.free(now) {
                    self.parked_turn = false;
                    return self.read_held(tenant);
                }
            }
            if !main {
                return Action::Wait {
                    until: self.next_due(),
                    hungry: !full,
                };
            }
            self.parked_turn = true;
            let slots = self.form_main();
            let items = slots.items(|_| 0);
            if !items.is_empty() {
                return self.begin(Flight::Main(slots), items);
            }
            self.settle_main(slots, Vec::new(), now);
        }
    }

    /// What the guest said about the first events of the run.
    pub fn ran(&mut self, handled: Vec<Handled>, now: u64) {
        match self.flight.take() {
            Some(Flight::Main(slots)) => self.settle_main(slots, handled, now),
            Some(Flight::Parked {
                key,
                slots,
                complete,
            }) => self.settle_parked(key, slots, complete, handled, now),
            Some(Flight::Held {
                tenant,
                slots,
                complete,
            }) => self.settle_held(&tenant, slots, complete, handled, now),
            other => panic!("a run is answered while {other:?} is under way"),
        }
    }

    /// The guest could not be called; no event is to blame. With a reason the lane
    /// halts, without one the run comes again.
    pub fn run_failed(&mut self, halt: Option<String>) {
        let flight = match self.flight.take() {
            Some(Flight::Recall(flight, _)) => Some(*flight),
            flight => flight,
        };
        if let Some(Flight::Main(slots)) = flight {
            slots.requeue(&mut self.queue);
        }
        self.halted = halt;
    }

    /// The events of a parked channel within the range that was asked for.
    /// `complete`: the range has no more of them for certain. What comes back is
    /// the run that follows, if there is anything to run.
    pub fn parked_read(&mut self, events: Vec<Stored>, complete: bool, now: u64) -> Option<Action> {
        let key = match self.flight.take() {
            Some(Flight::Reading(key)) => key,
            Some(Flight::ReadingHeld(tenant)) => {
                return self.held_read(tenant, events, complete, now);
            }
            other => panic!("nothing that waits is being read: {other:?}"),
        };
        let waiting = self
            .staging
            .view
            .parked
            .get_mut(&key)
            .expect("the channel waits while it is read");
        if events.is_empty() && !complete {
            waiting.due = now + REREAD_US;
            return None;
        }
        let mut suspect = waiting.attempts > 0;
        let found = events.first().map(|event| event.seq);
        let missing = found != Some(waiting.seq) && (suspect || waiting.seq < self.kept_from);
        if missing {
            // Retention was faster than the retries: of this input, or of those behind it,
            // of which nobody knows how many they were.
            self.tallies.own.lost += 1;
            let onward = (waiting.seq + 1).max(self.kept_from);
            *waiting = Waiting::onward(found.unwrap_or(onward), now);
            suspect = false;
        }
        let mut slots = Slots::default();
        let mut rest = events.into_iter();
        // An event that failed before is run alone: it must not cost the others of
        // its channel a search for the culprit.
        for event in rest.by_ref().take(if suspect { 1 } else { usize::MAX }) {
            slots.push(Slot::classify(&self.scope, event, |_| false));
        }
        let complete = complete && rest.next().is_none();
        let items = slots.items(|seq| waiting.attempts_on(seq));
        if items.is_empty() {
            self.settle_parked(key, slots, complete, Vec::new(), now);
            return None;
        }
        let flight = Flight::Parked {
            key,
            slots,
            complete,
        };
        Some(self.begin(flight, items))
    }

    /// The commit is stored, its checkpoint under this sequence.
    pub fn committed(&mut self, seq: u64) {
        let done = self.staging.committed(seq);
        for key in done.remembered {
            self.memories.committed(&key);
        }
        self.since.extend(done.since);
        self.memories.shrink();
    }

    fn wants_commit(&self, now: u64) -> bool {
        if self.staging.is_empty() {
            return false;
        }
        let idle = self.queue.is_empty() || self.is_full();
        self.draining
            || self.halted.is_some()
            || self.staging.is_enough(now)
            || (idle && self.next_commit().is_some_and(|due| now >= due))
    }

    /// Whether so many channels wait that the lane pauses.
    fn is_full(&self) -> bool {
        self.parked() >= PARKED_MAX || self.staging.view.held.len() > HELD_MAX
    }

    fn due(&self, now: u64) -> Option<Key> {
        let due = self
            .staging
            .view
            .parked
            .iter()
            .filter(|(_, waiting)| waiting.due <= now);
        due.min_by_key(|(_, waiting)| waiting.due)
            .map(|(key, _)| key.clone())
    }

    fn next_due(&self) -> Option<u64> {
        let parked = self
            .staging
            .view
            .parked
            .values()
            .map(|waiting| waiting.due)
            .min();
        let held = self.held_due.values().copied();
        parked
            .into_iter()
            .chain(held)
            .chain(self.next_commit())
            .chain(self.next_tick())
            .min()
    }

    fn next_commit(&self) -> Option<u64> {
        self.staging.due(self.scope.spec.linger_ms * 1_000)
    }

    /// `None`: the channel has nothing left of its own, and waits no longer.
    fn read_parked(&mut self, key: Key, now: u64) -> Option<Action> {
        let from = self.staging.view.parked[&key].seq;
        let to = self.staging.view.reach(&key.0);
        if from > to {
            self.stage(Effect::waits(key, None, Vec::new()), now);
            return None;
        }
        let subject = Subject::event(
            self.scope.kind(),
            &self.scope.store.name,
            self.scope.lane,
            &key.0,
            &key.1,
        );
        self.flight = Some(Flight::Reading(key));
        Some(Action::ReadParked { subject, from, to })
    }

    fn form_main(&mut self) -> Slots {
        let mut slots = Slots::default();
        let (mut events, mut bytes) = (0, 0);
        while events < self.batch_events
            && let Some(stored) = self.queue.pop_front()
        {
            let view = &self.staging.view;
            let slot = Slot::classify(&self.scope, stored, |key| view.waits(key));
            if slot.is_alone() {
                match events {
                    0 => slots.push(slot),
                    _ => self.queue.push_front(slot.into_stored()),
                }
                break;
            }
            if let Slot::Handle(event) = &slot {
                bytes += packed_bytes(event);
                if events > 0 && bytes > RUN_BYTES_MAX {
                    self.queue.push_front(slot.into_stored());
                    break;
                }
                events += 1;
            }
            slots.push(slot);
        }
        slots
    }

    fn stage(&mut self, effect: Effect, now: u64) {
        self.staging.stage(effect, now);
    }
}
