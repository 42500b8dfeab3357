//! Several workers' machines over one bucket of claims: who runs what when workers come,
//! go, die and stand still.

use proptest::prelude::*;
use protocol::name::StoreName;
use protocol::report::FunctionReport;

use super::*;

const TTL: u64 = 5_000;
const GRACE: u64 = 1_000;
const LANES: u16 = 16;

fn function() -> FunctionName {
    FunctionName::parse("gate").unwrap()
}

struct Worker {
    name: &'static str,
    fleet: Fleet,
    runs: bool,
    /// Runs of lanes, by the machine's own account.
    running: BTreeSet<Lane>,
    /// Actions that take their time: one step each.
    waiting: Vec<Action>,
}

/// Workers, and what the server holds.
struct World {
    now: u64,
    workers: Vec<Worker>,
    revision: u64,
    claims: BTreeMap<Key, (Option<LaneClaim>, u64)>,
    most_moving: usize,
}

impl World {
    fn new() -> Self {
        Self {
            now: 0,
            workers: Vec::new(),
            revision: 0,
            claims: BTreeMap::new(),
            most_moving: 0,
        }
    }

    fn join(&mut self, name: &'static str) {
        let life = LaneClaim {
            worker: name.to_owned(),
            incarnation: self.now,
        };
        let mut fleet = Fleet::new(Me {
            life,
            ttl_ms: TTL,
            grace_ms: GRACE,
        });
        fleet.runs(function(), 0..LANES);
        for (key, (holder, revision)) in &self.claims {
            fleet.claim(key.clone(), holder.clone(), *revision, self.now);
        }
        self.workers.push(Worker {
            name,
            fleet,
            runs: true,
            running: BTreeSet::new(),
            waiting: Vec::new(),
        });
        self.report();
    }

    fn kill(&mut self, name: &str) {
        self.workers.retain(|worker| worker.name != name);
    }

    fn at(&mut self, name: &str) -> &mut Worker {
        let mut workers = self.workers.iter_mut();
        workers.find(|worker| worker.name == name).unwrap()
    }

    /// Every worker reports, and hears the others.
    fn report(&mut self) {
        let reports: Vec<WorkerReport> = self.workers.iter().map(report).collect();
        for worker in &mut self.workers {
            worker.fleet.reported(self.now);
            for report in &reports {
                worker.fleet.heard(report, self.now);
            }
        }
    }

    /// Goes on for so many milliseconds, in steps of ten.
    fn pass(&mut self, ms: u64) {
        let until = self.now + ms;
        while self.now < until {
            self.now += 10;
            if self.now.is_multiple_of(TTL / 5) {
                self.report();
            }
            for at in 0..self.workers.len() {
                let actions = self.workers[at].fleet.next(self.now);
                let waiting = std::mem::take(&mut self.workers[at].waiting);
                for action in waiting {
                    self.perform(at, action);
                }
                self.workers[at].waiting.extend(actions);
            }
            let moving = self.workers.iter().flat_map(|worker| &worker.waiting);
            let moving = moving.filter(|action| matches!(action, Action::Drain(_)));
            self.most_moving = self.most_moving.max(moving.count());
        }
    }

    fn perform(&mut self, at: usize, action: Action) {
        let now = self.now;
        let follow = match action {
            Action::Claim(key, over) => {
                let current = self.claims.get(&key).map_or(0, |(_, revision)| *revision);
                let life = self.workers[at].fleet.me.life.clone();
                let written = (current == over).then(|| self.write(key.clone(), Some(life)));
                self.workers[at].fleet.claimed(&key, written, now)
            }
            Action::Start(key, _) => {
                self.workers[at].running.insert(key.1);
                None
            }
            Action::Drain(key) | Action::Lose(key) => {
                self.workers[at].running.remove(&key.1);
                self.workers[at].fleet.ended(&key, 0, now)
            }
            Action::Release(key, revision) => {
                if self.claims[&key].1 == revision {
                    self.write(key.clone(), None);
                }
                self.workers[at].fleet.released(&key);
                None
            }
        };
        if let Some(follow) = follow {
            self.perform(at, follow);
        }
    }

    /// Everybody hears of it at once.
    fn write(&mut self, key: Key, holder: Option<LaneClaim>) -> u64 {
        self.revision += 1;
        let entry = (holder.clone(), self.revision);
        self.claims.insert(key.clone(), entry);
        for worker in &mut self.workers {
            worker
                .fleet
                .claim(key.clone(), holder.clone(), self.revision, self.now);
        }
        self.revision
    }

    /// Lanes of each worker; no lane is run twice.
    fn shares(&self) -> Vec<usize> {
        let all = self.workers.iter().flat_map(|worker| &worker.running);
        let once: BTreeSet<_> = all.clone().collect();
        assert_eq!(all.count(), once.len(), "a lane has one owner");
        let shares = self.workers.iter().map(|worker| worker.running.len());
        shares.collect()
    }
}

fn report(worker: &Worker) -> WorkerReport {
    let function_report = FunctionReport {
        digest: protocol::checkpoint::Digest::from_bytes([7; 32]),
        revision: 1,
        version: 1,
        lanes: Vec::new(),
        memory_bytes: 0,
        work: None,
        trial: None,
    };
    WorkerReport {
        name: worker.name.to_owned(),
        incarnation: worker.fleet.me.life.incarnation,
        version: "0".to_owned(),
        store: StoreName::parse("main").unwrap(),
        at_us: 0,
        uncounted: 0,
        functions: worker
            .runs
            .then(|| (function(), function_report))
            .into_iter()
            .collect(),
        broken: BTreeMap::new(),
    }
}

#[test]
fn a_second_worker_takes_its_share_a_few_lanes_at_a_time() {
    let mut world = World::new();
    world.join("a");
    world.pass(100);
    assert_eq!(world.shares(), [16]);
    world.join("b");
    world.pass(500);
    assert_eq!(world.shares(), [8, 8]);
    assert!(world.most_moving <= GIVING_BACK_MAX);
    world.join("c");
    world.pass(500);
    let shares = world.shares();
    assert!(
        shares.iter().all(|share| (5..=6).contains(share)),
        "{shares:?}"
    );
}

#[test]
fn who_leaves_hands_over_and_who_dies_is_replaced() {
    let mut world = World::new();
    world.join("a");
    world.join("b");
    world.pass(1_000);
    let leaving = world.at("b");
    leaving.fleet.leave();
    leaving.runs = false;
    world.report();
    world.pass(200);
    assert_eq!(world.shares(), [16, 0]);
    world.kill("b");
    world.join("c");
    world.pass(1_000);
    assert_eq!(world.shares(), [8, 8]);
    world.kill("c");
    world.pass(TTL + 500);
    assert_eq!(world.shares(), [16]);
}

#[test]
fn a_worker_that_cannot_report_ends_its_lanes_before_others_take_them() {
    let mut world = World::new();
    world.join("a");
    world.join("b");
    world.pass(1_000);
    let mut away = world.workers.pop().unwrap();
    let lanes = away.running.len();
    world.pass(TTL - 2_000);
    assert_eq!(world.shares(), [16 - lanes], "it may still be alive");
    let lost = away.fleet.next(world.now + 2_000);
    assert_eq!(lost.len(), lanes);
    assert!(lost.iter().all(|action| matches!(action, Action::Lose(_))));
    world.pass(4_000);
    assert_eq!(world.shares(), [16]);
}

#[test]
fn what_its_own_worker_does_not_take_another_takes_and_keeps_for_a_while() {
    let mut world = World::new();
    world.join("a");
    world.pass(100);
    // It says that it runs the function, and does nothing.
    world.join("idle");
    world.at("idle").fleet.leave();
    world.pass(500);
    assert_eq!(world.shares(), [8, 0]);
    world.pass(GRACE + 200);
    assert_eq!(world.shares(), [16, 0]);
    world.pass(KEEP_MS / 2);
    assert_eq!(world.shares(), [16, 0], "not to and fro");
}

/// A machine that knows another worker, whose one of two lanes is; the free one's key.
fn beside_another() -> (Fleet, Key, LaneClaim) {
    let life = |worker: &str| LaneClaim {
        worker: worker.to_owned(),
        incarnation: 0,
    };
    let mut fleet = Fleet::new(Me {
        life: life("a"),
        ttl_ms: TTL * 100,
        grace_ms: GRACE,
    });
    fleet.runs(function(), 0..2);
    fleet.reported(0);
    let other = Worker {
        name: "b",
        fleet: Fleet::new(Me {
            life: life("b"),
            ttl_ms: TTL,
            grace_ms: GRACE,
        }),
        runs: true,
        running: BTreeSet::new(),
        waiting: Vec::new(),
    };
    fleet.heard(&report(&other), 0);
    let free = (0..2).map(|lane| (function(), Lane(lane)));
    let mut free = free.filter(|key| owner_of(&["a", "b"], &key.0, key.1) == Some("b"));
    let free = free.next().expect("one of two is the other's");
    (fleet, free, life("b"))
}

fn claims(fleet: &mut Fleet, key: &Key, now: u64) -> bool {
    let actions = fleet.next(now);
    actions.contains(&Action::Claim(key.clone(), 0))
}

#[test]
fn a_worker_that_claims_its_other_lanes_is_waited_for_but_not_for_ever() {
    let (mut fleet, free, other) = beside_another();
    assert!(!claims(&mut fleet, &free, 0));
    let elsewhere = |lane| (FunctionName::parse("busy").unwrap(), Lane(lane));
    for (lane, now) in (0_u16..).zip((0..AT_WORK_MAX_MS).step_by(500)) {
        fleet.claim(elsewhere(lane), Some(other.clone()), 9, now);
        assert!(!claims(&mut fleet, &free, now + 400));
    }
    fleet.claim(elsewhere(0), Some(other), 10, AT_WORK_MAX_MS + GRACE - 1);
    assert!(!claims(&mut fleet, &free, AT_WORK_MAX_MS + GRACE - 1));
    assert!(claims(&mut fleet, &free, AT_WORK_MAX_MS + GRACE));
}

#[test]
fn a_worker_that_claims_nothing_is_waited_for_as_long_as_the_grace() {
    let (mut fleet, free, _) = beside_another();
    assert!(!claims(&mut fleet, &free, 0));
    assert!(!claims(&mut fleet, &free, GRACE - 1));
    assert!(claims(&mut fleet, &free, GRACE));
}

#[test]
fn a_worker_that_was_deaf_takes_nobody_for_dead_at_once() {
    let mut world = World::new();
    world.join("a");
    world.join("b");
    world.pass(1_000);
    // For a while neither can report.
    world.now += 3 * TTL;
    let now = world.now;
    for at in 0..2 {
        for action in world.workers[at].fleet.next(now) {
            world.perform(at, action);
        }
    }
    assert_eq!(world.shares(), [0, 0]);
    world.workers[0].fleet.reported(now);
    let first: Vec<Action> = world.workers[0].fleet.next(now + 10);
    assert_eq!(
        first.len(),
        8,
        "its own, and not those of the other: {first:?}"
    );
}

proptest! {
    /// Whatever comes and goes, in the end every lane has one owner and the shares are
    /// even.
    #[test]
    fn shares_are_even_in_the_end(steps in prop::collection::vec((0_usize..4, 0_u64..3_000), 1..12)) {
        let names = ["a", "b", "c", "d"];
        let mut world = World::new();
        world.join("z");
        for (who, pause) in steps {
            match world.workers.iter().any(|worker| worker.name == names[who]) {
                true => world.kill(names[who]),
                false => world.join(names[who]),
            }
            world.pass(pause);
        }
        world.pass(2 * TTL + KEEP_MS + 5_000);
        let shares = world.shares();
        prop_assert_eq!(shares.iter().sum::<usize>(), usize::from(LANES));
        let (least, most) = (shares.iter().min().unwrap(), shares.iter().max().unwrap());
        prop_assert!(most - least <= 1, "{:?}", shares);
    }
}
