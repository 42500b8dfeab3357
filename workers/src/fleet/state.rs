//! Which lanes this worker claims, runs and gives back, as a state machine: what is heard
//! of other workers, of claims and of time goes in, what to do comes out. It never awaits.
//!
//! Owns what this worker knows of the others and how each of its lanes stands. A claim
//! only elects; what keeps two owners from doing harm is the guard of each commit. It
//! must not know NATS, lanes' work or clocks.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use protocol::lane::Lane;
use protocol::name::FunctionName;
use protocol::report::{LaneClaim, WorkerReport};

use super::share::owner_of;

/// Which lane of which function.
pub type Key = (FunctionName, Lane);

/// Claims that are written at a time. Policy: the others wait.
const CLAIMING_MAX: usize = 32;
/// Lanes that are given back at a time, so that the share that moves stands still for
/// milliseconds, one after the other, and not as a whole. Policy: the others wait.
const GIVING_BACK_MAX: usize = 4;
/// Wait before a lane is claimed again whose claim failed, milliseconds: the winner's is
/// heard of by then.
const CLAIM_AGAIN_MS: u64 = 50;
/// How long one that claims others of its lanes is waited for at most, milliseconds beside
/// the grace: with hundreds of lanes to claim it takes seconds, and whoever took them
/// meanwhile would have to give them back.
const AT_WORK_MAX_MS: u64 = 10_000;
/// How long a lane is kept that its own worker did not take, milliseconds: given back at
/// once it would go to and fro.
const KEEP_MS: u64 = 30_000;

/// What this worker is, and how patient.
#[derive(Debug, Clone)]
pub struct Me {
    /// Its name and life, as its claims say it.
    pub life: LaneClaim,
    /// Who has not reported for so long counts as dead, milliseconds.
    pub ttl_ms: u64,
    /// How long the worker whose a free lane is may take to claim it before somebody
    /// else does, milliseconds.
    pub grace_ms: u64,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Write a claim over this revision (0: none), then [`Fleet::claimed`].
    Claim(Key, u64),
    /// Run the lane under the claim of this revision, then [`Fleet::ended`].
    Start(Key, u64),
    /// Let the lane commit and end.
    Drain(Key),
    /// The lane has another owner, or may have one: end it without a commit.
    Lose(Key),
    /// Delete the claim of this revision, then [`Fleet::released`].
    Release(Key, u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Idle,
    Claiming,
    Running(u64),
    /// Told to end.
    Ending(u64),
    Releasing,
    /// Run without a claim, by a test.
    Forced,
}

/// How much more may be begun.
struct Room {
    claims: usize,
    returns: usize,
}

#[derive(Debug)]
struct Place {
    phase: Phase,
    /// Since when nobody who lives owns it.
    free_since: Option<u64>,
    not_before: u64,
    keep_until: u64,
}

#[derive(Debug)]
struct Member {
    incarnation: u64,
    functions: BTreeSet<FunctionName>,
    seen: u64,
    /// When it was last heard to have claimed a lane.
    claimed: u64,
}

#[derive(Debug)]
struct Claim {
    /// `None`: deleted.
    holder: Option<LaneClaim>,
    revision: u64,
}

/// The state machine. Times are milliseconds of a clock that never goes back.
#[derive(Debug)]
pub struct Fleet {
    me: Me,
    others: BTreeMap<String, Member>,
    claims: BTreeMap<Key, Claim>,
    /// What this worker runs, and on which lanes.
    functions: BTreeMap<FunctionName, Range<u16>>,
    places: BTreeMap<Key, Place>,
    /// While this worker itself has reported without a break.
    alive: Option<(u64, u64)>,
}

impl Fleet {
    /// Nobody is known yet, and this worker has not reported.
    pub fn new(me: Me) -> Self {
        Self {
            me,
            others: BTreeMap::new(),
            claims: BTreeMap::new(),
            functions: BTreeMap::new(),
            places: BTreeMap::new(),
            alive: None,
        }
    }

    /// This worker's report was stored; it had been sent at this time.
    pub fn reported(&mut self, sent: u64) {
        let until = sent + self.me.ttl_ms;
        let unbroken = self.alive.filter(|(_, until)| sent < *until);
        let since = unbroken.map_or(sent, |(since, _)| since);
        if unbroken.is_none() {
            // Whoever was not heard while we could not hear either is not dead yet.
            self.others.values_mut().for_each(|other| other.seen = sent);
        }
        self.alive = Some((since, until));
    }

    /// A report of a worker, this one or another.
    pub fn heard(&mut self, report: &WorkerReport, now: u64) {
        if report.name == self.me.life.worker {
            return;
        }
        let known = self.others.get(&report.name);
        let member = Member {
            incarnation: report.incarnation,
            functions: report.functions.keys().cloned().collect(),
            seen: now,
            claimed: known.map_or(0, |known| known.claimed),
        };
        self.others.insert(report.name.clone(), member);
    }

    /// A worker has taken its report back.
    pub fn left(&mut self, name: &str) {
        self.others.remove(name);
    }

    /// A lane's claim was written, or (`None`) deleted, under this revision.
    pub fn claim(&mut self, key: Key, holder: Option<LaneClaim>, revision: u64, now: u64) {
        let other = holder
            .as_ref()
            .and_then(|holder| self.others.get_mut(&holder.worker));
        if let Some(other) = other {
            other.claimed = now;
        }
        let older = |known: &Claim| known.revision >= revision;
        if !self.claims.get(&key).is_some_and(older) {
            self.claims.insert(key, Claim { holder, revision });
        }
    }

    /// This worker runs a function from now on, on these lanes and no others.
    pub fn runs(&mut self, function: FunctionName, lanes: Range<u16>) {
        for lane in lanes.clone().map(Lane) {
            let place = Place {
                phase: Phase::Idle,
                free_since: None,
                not_before: 0,
                keep_until: 0,
            };
            self.places.entry((function.clone(), lane)).or_insert(place);
        }
        self.functions.insert(function, lanes);
    }

    /// This worker runs a function no more: its lanes end.
    pub fn withdrawn(&mut self, function: &FunctionName) {
        self.functions.remove(function);
    }

    /// This worker goes away: all its lanes end.
    pub fn leave(&mut self) {
        self.functions.clear();
    }

    /// Whether no lane is left that was run.
    pub fn is_idle(&self) -> bool {
        self.places
            .values()
            .all(|place| matches!(place.phase, Phase::Idle))
    }

    /// What became of a claim; with its revision it stands.
    pub fn claimed(&mut self, key: &Key, revision: Option<u64>, now: u64) -> Option<Action> {
        let holder = self.me.life.clone();
        if let Some(revision) = revision {
            self.claim(key.clone(), Some(holder), revision, now);
        }
        let place = self.places.get_mut(key)?;
        match revision {
            Some(revision) => {
                place.phase = Phase::Running(revision);
                Some(Action::Start(key.clone(), revision))
            }
            None => {
                place.phase = Phase::Idle;
                place.not_before = now + CLAIM_AGAIN_MS;
                None
            }
        }
    }

    /// A lane has ended; with a pause (milliseconds) it is not to be claimed again at once.
    pub fn ended(&mut self, key: &Key, pause: u64, now: u64) -> Option<Action> {
        let place = self.places.get_mut(key)?;
        let revision = match place.phase {
            Phase::Running(revision) | Phase::Ending(revision) => revision,
            _ => {
                place.phase = Phase::Idle;
                return None;
            }
        };
        place.phase = Phase::Releasing;
        place.not_before = now + pause;
        Some(Action::Release(key.clone(), revision))
    }

    /// A claim was taken back, or nobody knows: then it stands until it is written over.
    pub fn released(&mut self, key: &Key) {
        if let Some(place) = self.places.get_mut(key) {
            place.phase = Phase::Idle;
            place.free_since = None;
        }
        let me = &self.me.life;
        if let Some(claim) = self.claims.get_mut(key)
            && claim.holder.as_ref() == Some(me)
        {
            claim.holder = None;
        }
    }

    /// What is to be done at this time. To be asked after everything that is told here,
    /// and from time to time.
    pub fn next(&mut self, now: u64) -> Vec<Action> {
        let Some((since, _)) = self.alive.filter(|(_, until)| now < *until) else {
            return self.lose_all();
        };
        if now >= since + self.me.ttl_ms {
            let ttl = self.me.ttl_ms;
            self.others.retain(|_, other| now < other.seen + ttl);
        }
        let functions = &self.functions;
        self.places
            .retain(|key, place| is_run(functions, key) || place.phase != Phase::Idle);
        let mut room = self.room();
        let mut actions = Vec::new();
        let mut places = std::mem::take(&mut self.places);
        let mut of: Option<(&FunctionName, Vec<&str>)> = None;
        for (key, place) in &mut places {
            let workers = match &of {
                Some((function, workers)) if **function == key.0 => workers,
                _ => &of.insert((&key.0, self.workers_of(&key.0))).1,
            };
            let owner = owner_of(workers, &key.0, key.1);
            actions.extend(self.step(key, place, owner, &mut room, now));
        }
        self.places = places;
        actions
    }

    /// The workers that run a function, sorted by name.
    fn workers_of(&self, function: &FunctionName) -> Vec<&str> {
        let others = self.others.iter();
        let running = others.filter(|(_, other)| other.functions.contains(function));
        let mut names: Vec<&str> = running.map(|(name, _)| name.as_str()).collect();
        if self.functions.contains_key(function) {
            names.push(&self.me.life.worker);
        }
        names.sort_unstable();
        names
    }

    fn lose_all(&mut self) -> Vec<Action> {
        let mut actions = Vec::new();
        for (key, place) in &mut self.places {
            if let Phase::Running(revision) = place.phase {
                place.phase = Phase::Ending(revision);
                actions.push(Action::Lose(key.clone()));
            }
        }
        actions
    }

    fn room(&self) -> Room {
        let count = |which: fn(&Phase) -> bool| {
            let places = self.places.values();
            places.filter(|place| which(&place.phase)).count()
        };
        let (claiming, ending) = (
            count(|phase| *phase == Phase::Claiming),
            count(|phase| matches!(phase, Phase::Ending(_))),
        );
        Room {
            claims: CLAIMING_MAX.saturating_sub(claiming),
            returns: GIVING_BACK_MAX.saturating_sub(ending),
        }
    }

    fn step(
        &self,
        key: &Key,
        place: &mut Place,
        owner: Option<&str>,
        room: &mut Room,
        now: u64,
    ) -> Option<Action> {
        match place.phase {
            Phase::Idle => self.want(key, place, owner, room, now),
            Phase::Running(revision) => {
                let own = owner == Some(&self.me.life.worker);
                self.keep(key, place, (revision, own), room, now)
            }
            Phase::Claiming | Phase::Ending(_) | Phase::Releasing | Phase::Forced => None,
        }
    }

    /// A lane that this worker does not own: whether it should.
    fn want(
        &self,
        key: &Key,
        place: &mut Place,
        owner: Option<&str>,
        room: &mut Room,
        now: u64,
    ) -> Option<Action> {
        let claim = self.claims.get(key);
        let holder = claim.and_then(|claim| claim.holder.as_ref());
        let taken = holder.is_some_and(|holder| self.lives(holder));
        if taken || !is_run(&self.functions, key) {
            place.free_since = None;
            return None;
        }
        let own = owner == Some(&self.me.life.worker);
        let since = *place.free_since.get_or_insert(now);
        let waited = own || now >= self.patience(owner, since);
        if !waited || now < place.not_before || room.claims == 0 {
            return None;
        }
        room.claims -= 1;
        place.phase = Phase::Claiming;
        place.free_since = None;
        place.keep_until = if own { 0 } else { now + KEEP_MS };
        let over = claim.map_or(0, |claim| claim.revision);
        Some(Action::Claim(key.clone(), over))
    }

    /// Until when a free lane is left to the worker whose it is.
    fn patience(&self, owner: Option<&str>, since: u64) -> u64 {
        let owner = owner.and_then(|owner| self.others.get(owner));
        let claimed = owner.map_or(0, |owner| owner.claimed);
        claimed.clamp(since, since + AT_WORK_MAX_MS) + self.me.grace_ms
    }

    /// A lane that this worker runs under a claim, and whether it is its own: whether it
    /// goes on.
    fn keep(
        &self,
        key: &Key,
        place: &mut Place,
        (revision, own): (u64, bool),
        room: &mut Room,
        now: u64,
    ) -> Option<Action> {
        let newer = |claim: &&Claim| claim.revision > revision;
        let action = if self.claims.get(key).filter(newer).is_some() {
            Action::Lose(key.clone())
        } else {
            let kept = own || now < place.keep_until || room.returns == 0;
            if is_run(&self.functions, key) && kept {
                return None;
            }
            room.returns = room.returns.saturating_sub(1);
            Action::Drain(key.clone())
        };
        place.phase = Phase::Ending(revision);
        Some(action)
    }

    /// Whether the holder of a claim is another worker that lives.
    fn lives(&self, holder: &LaneClaim) -> bool {
        let other = self.others.get(&holder.worker);
        other.is_some_and(|other| other.incarnation == holder.incarnation)
    }

    /// Only for tests of fencing: lanes that this worker does not run count as run, and
    /// are to be started without a claim.
    pub fn force(&mut self) -> Vec<Key> {
        let places = self.places.iter_mut();
        let idle = places.filter(|(_, place)| place.phase == Phase::Idle);
        idle.map(|(key, place)| {
            place.phase = Phase::Forced;
            key.clone()
        })
        .collect()
    }
}

/// Whether a lane is among those that a function is to run on.
fn is_run(functions: &BTreeMap<FunctionName, Range<u16>>, (function, lane): &Key) -> bool {
    let lanes = functions.get(function);
    lanes.is_some_and(|lanes| lanes.contains(&lane.0))
}

#[cfg(test)]
mod tests;
