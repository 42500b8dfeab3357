//! Drives the machine of a worker: tells it what is heard and what time it is, writes
//! and deletes claims, and runs the lanes that are claimed.
//!
//! Owns the tasks of the lanes, and ends them before it ends itself.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bus::{BusError, Kv};
use bytes::Bytes;
use protocol::lane::Lane;
use protocol::name::FunctionName;
use protocol::report::{LaneClaim, claim_key};
use protocol::spec::Judgement;
use rand::Rng;
use service::clock::now_us;
use service::shutdown::Shutdown;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::hearing::{self, Heard};
use super::presence::{self, Presence};
use super::state::{Action, Fleet, Key, Me};
use super::verdict;
use crate::deployed::Deployed;
use crate::lane::grant::Grant;
use crate::lane::owner::Owner;
use crate::lane::shared::Shared;
use crate::registry::Change;
use crate::trial::jury::Jury;

/// How often the machine is asked when nothing is heard: what it does by time alone is
/// measured in seconds.
const TICK: Duration = Duration::from_millis(100);
/// How long lanes may take to commit and release at a shutdown. What is not done
/// then is done by the next owner.
const DRAIN_DEADLINE: Duration = Duration::from_secs(10);

/// What a worker's lanes are run with.
pub struct Crew {
    /// What all lanes share.
    pub shared: Arc<Shared>,
    /// The bucket of reports.
    pub workers: Kv,
    /// The bucket of claims.
    pub lanes: Kv,
    /// The bucket of functions, where it is written how a trial ended.
    pub functions: Kv,
    /// How the worker calls itself.
    pub name: String,
    /// How long another worker may take to claim a lane of its own that is free.
    pub grace: Duration,
}

/// Where the lanes are.
struct Task {
    crew: Crew,
    fleet: Fleet,
    life: LaneClaim,
    started: Instant,
    functions: BTreeMap<FunctionName, watch::Sender<Deployed>>,
    jury: Jury,
    /// How each lane that runs is told to end, or that it is lost.
    running: BTreeMap<Key, (Shutdown, Shutdown)>,
    lanes: JoinSet<(Key, bool)>,
    writes: JoinSet<Written>,
    alive: watch::Receiver<Option<Instant>>,
    ttl: Duration,
}

enum Written {
    Claimed(Key, Option<u64>),
    Released(Key),
    /// A version is judged, by whomever, or (false) it is not known.
    Judged(FunctionName, u64, bool),
}

/// Runs the lanes of every function that `changes` tells of, as far as they are this
/// worker's, until `stop`; then lets them commit, gives them back and ends.
pub async fn run(crew: Crew, mut changes: mpsc::Receiver<Change>, stop: Shutdown) {
    let life = LaneClaim {
        worker: crew.name.clone(),
        incarnation: rand::rng().random(),
    };
    let ttl = presence::ttl(&crew.workers);
    let store = crew.shared.store.name.clone();
    let mut heard = hearing::follow(&store, crew.workers.clone(), crew.lanes.clone());
    let (sender, alive) = watch::channel(None);
    let (leaving, over) = (Shutdown::new(), Shutdown::new());
    let mut presence = Some(Presence {
        workers: crew.workers.clone(),
        life: life.clone(),
        store,
        status: crew.shared.status.clone(),
        leaving: leaving.clone(),
    });
    let mut task = Task::new(crew, life, alive.clone(), ttl);
    let mut unheard = 2;
    let mut reporting = JoinSet::new();
    let mut reported = alive;
    let mut deadline = None;
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        // All branches are cancel safe: queues, watches and sets keep what they have.
        tokio::select! {
            Some(change) = changes.recv(), if deadline.is_none() => task.deploy(change),
            Some(told) = heard.recv() => {
                unheard -= u32::from(matches!(told, Heard::Whole) && unheard > 0);
                task.hear(told);
                while let Ok(told) = heard.try_recv() {
                    unheard -= u32::from(matches!(told, Heard::Whole) && unheard > 0);
                    task.hear(told);
                }
            }
            Ok(()) = reported.changed() => task.reported(),
            Some(ended) = task.lanes.join_next() => task.ended(ended.ok()),
            Some(written) = task.writes.join_next() => task.written(written.ok()),
            _ = tick.tick() => {
                task.tick();
                task.judge();
            }
            () = stop.triggered(), if deadline.is_none() => {
                deadline = Some(Instant::now() + DRAIN_DEADLINE);
                leaving.trigger();
                task.leave();
            }
        }
        // Whoever does not know the others yet would take all lanes from them.
        if unheard == 0
            && let Some(presence) = presence.take()
        {
            reporting.spawn(presence.run(sender.clone(), over.clone()));
        }
        task.settle();
        task.act();
        if deadline.is_some_and(|until| task.is_idle() || Instant::now() >= until) {
            break;
        }
    }
    task.end().await;
    over.trigger();
    while reporting.join_next().await.is_some() {}
}

impl Task {
    fn new(
        crew: Crew,
        life: LaneClaim,
        alive: watch::Receiver<Option<Instant>>,
        ttl: Duration,
    ) -> Self {
        let me = Me {
            life: life.clone(),
            ttl_ms: millis(ttl),
            grace_ms: millis(crew.grace),
        };
        Self {
            crew,
            fleet: Fleet::new(me),
            life,
            started: Instant::now(),
            functions: BTreeMap::new(),
            jury: Jury::default(),
            running: BTreeMap::new(),
            lanes: JoinSet::new(),
            writes: JoinSet::new(),
            alive,
            ttl,
        }
    }

    fn now(&self) -> u64 {
        millis(self.started.elapsed())
    }

    fn is_idle(&self) -> bool {
        self.lanes.is_empty() && self.writes.is_empty() && self.fleet.is_idle()
    }

    fn leave(&mut self) {
        self.fleet.leave();
        self.running.values().for_each(|(stop, _)| stop.trigger());
    }

    fn deploy(&mut self, change: Change) {
        let status = &self.crew.shared.status;
        match change {
            Change::Program(deployed) => {
                status.runs(&deployed);
                self.jury.runs(&deployed.program.spec);
                let spec = deployed.program.spec.clone();
                match self.functions.get(&spec.name) {
                    Some(function) => drop(function.send_replace(deployed)),
                    None => {
                        self.functions
                            .insert(spec.name.clone(), watch::channel(deployed).0);
                    }
                }
                let lanes = spec.lanes(self.crew.shared.store.lanes);
                self.fleet.runs(spec.name.clone(), lanes);
            }
            Change::Gone(name) => {
                status.runs_no_more(&name);
                self.jury.gone(&name);
                if self.functions.remove(&name).is_some() {
                    tracing::info!(function = %name, "function is withdrawn");
                    self.fleet.withdrawn(&name);
                }
            }
            Change::Broken(name, reason) => status.is_broken(name, &reason),
        }
    }

    fn hear(&mut self, heard: Heard) {
        let now = self.now();
        match heard {
            Heard::Report(report) => {
                if report.name == self.life.worker && report.incarnation != self.life.incarnation {
                    metrics::counter!("worker_names_shared_total").increment(1);
                    tracing::warn!(
                        worker = report.name,
                        "another process reports under this worker's name"
                    );
                }
                self.jury.heard(&report);
                self.fleet.heard(&report, now);
            }
            Heard::Left(name) => self.fleet.left(&name),
            Heard::Claim(key, holder, revision) => {
                self.fleet.claim(key, holder, revision, now);
            }
            Heard::Whole => {}
        }
    }

    fn reported(&mut self) {
        if let Some(sent) = *self.alive.borrow_and_update() {
            self.fleet.reported(millis(sent - self.started));
        }
    }

    fn ended(&mut self, ended: Option<(Key, bool)>) {
        // A lane that panicked says nothing more; its claim ends with the worker.
        let Some((key, well)) = ended else {
            return;
        };
        self.running.remove(&key);
        let pause = if well { 0 } else { millis(self.crew.grace) };
        let now = self.now();
        let action = self.fleet.ended(&key, pause, now);
        self.perform(action);
    }

    fn written(&mut self, written: Option<Written>) {
        let now = self.now();
        match written {
            Some(Written::Claimed(key, revision)) => {
                let action = self.fleet.claimed(&key, revision, now);
                self.perform(action);
            }
            Some(Written::Released(key)) => self.fleet.released(&key),
            Some(Written::Judged(_, _, true)) => {}
            Some(Written::Judged(name, version, false)) => self.jury.unwritten(&name, version),
            None => {}
        }
    }

    /// Takes up all that has ended by now: what to do next is asked once for all of it.
    fn settle(&mut self) {
        while let Some(ended) = self.lanes.try_join_next() {
            self.ended(ended.ok());
        }
        while let Some(written) = self.writes.try_join_next() {
            self.written(written.ok());
        }
    }

    fn tick(&mut self) {
        if self.crew.shared.faults.hit("lease.ignore") {
            for key in self.fleet.force() {
                let revision = rand::rng().random_range(1 << 40..1 << 50);
                self.start(key, Grant::forced(revision), Shutdown::new());
            }
        }
    }

    /// Writes what is decided of the trials that are this worker's to judge.
    fn judge(&mut self) {
        let running = &self.running;
        let first = |name: &FunctionName| running.contains_key(&(name.clone(), Lane(0)));
        for (name, judgement) in self.jury.next(now_us(), first) {
            let judgement = Judgement {
                by: self.life.worker.clone(),
                ..judgement
            };
            let (functions, shared) = (self.crew.functions.clone(), self.crew.shared.clone());
            self.writes.spawn(async move {
                let known = verdict::write(&functions, &shared.faults, &name, &judgement).await;
                Written::Judged(name, judgement.version, known)
            });
        }
    }

    fn act(&mut self) {
        let now = self.now();
        let actions = self.fleet.next(now);
        self.perform(actions);
    }

    fn perform(&mut self, actions: impl IntoIterator<Item = Action>) {
        for action in actions {
            match action {
                Action::Claim(key, over) => self.claim(key, over),
                Action::Start(key, revision) => {
                    let lost = Shutdown::new();
                    let grant = Grant::new(revision, lost.clone(), self.alive.clone(), self.ttl);
                    self.start(key, grant, lost);
                }
                Action::Drain(key) => {
                    metrics::counter!("lanes_given_back_total").increment(1);
                    self.tell(&key, |(stop, _)| stop.trigger());
                }
                Action::Lose(key) => self.tell(&key, |(_, lost)| lost.trigger()),
                Action::Release(key, revision) => self.release(key, revision),
            }
        }
    }

    fn tell(&self, key: &Key, tell: impl Fn(&(Shutdown, Shutdown))) {
        if let Some(lane) = self.running.get(key) {
            tell(lane);
        }
    }

    fn start(&mut self, key: Key, grant: Grant, lost: Shutdown) {
        let Some(function) = self.functions.get(&key.0) else {
            // It was withdrawn while it was claimed.
            let now = self.now();
            let action = self.fleet.ended(&key, 0, now);
            return self.perform(action);
        };
        metrics::counter!("lanes_claimed_total").increment(1);
        let stop = Shutdown::new();
        let owner = Owner {
            shared: self.crew.shared.clone(),
            lane: key.1,
            deployed: function.subscribe(),
            grant,
            stop: stop.clone(),
        };
        self.running.insert(key.clone(), (stop, lost));
        self.lanes.spawn(async move { (key, owner.run().await) });
    }

    fn claim(&mut self, key: Key, over: u64) {
        let (lanes, life) = (self.crew.lanes.clone(), self.life.clone());
        let faults = self.crew.shared.faults.clone();
        let name = claim_key(&self.crew.shared.store.name, &key.0, key.1);
        self.writes.spawn(async move {
            faults.hit("claim.before_claim");
            let value: Bytes = serde_json::to_vec(&life)
                .expect("a claim has a name and a number")
                .into();
            let written = match over {
                0 => lanes.create(&name, value).await,
                over => lanes.update(&name, value, over).await,
            };
            match &written {
                Ok(_) => {
                    faults.hit("claim.after_claim");
                }
                Err(BusError::Exists | BusError::Conflict | BusError::Disconnected) => {}
                Err(error) => tracing::warn!(%error, key = name, "lane cannot be claimed"),
            }
            Written::Claimed(key, written.ok())
        });
    }

    fn release(&mut self, key: Key, revision: u64) {
        let (lanes, faults) = (self.crew.lanes.clone(), self.crew.shared.faults.clone());
        let name = claim_key(&self.crew.shared.store.name, &key.0, key.1);
        self.writes.spawn(async move {
            faults.hit("claim.before_release");
            if let Err(error) = lanes.delete(&name, revision).await {
                tracing::debug!(%error, key = name, "the claim of a lane is not taken back");
            }
            faults.hit("claim.after_release");
            Written::Released(key)
        });
    }

    async fn end(mut self) {
        if !self.lanes.is_empty() {
            tracing::warn!(
                worker = self.life.worker,
                left = self.lanes.len(),
                "lanes did not end in time and are left to the next owner"
            );
        }
        self.lanes.shutdown().await;
        self.crew.shared.faults.hit("worker.before_farewell");
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
