//! A lane is handed over, by a worker that leaves in good order or by one that gives a
//! newcomer its share, and whoever gives it or takes it dies at each step of that, or at
//! random: each input has its one effect, in order, and what channels remember is exact.
//!
//! Owns the list of deaths. One worker always dies, the other one is always left.

use harness::{DEADLINE, Instance, NatsChoice, wait};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use service::clock::now_us;
use workers::WorkerConfig;

use super::hunt::{Moment, Victim, assert_killed};
use super::lab::Lab;

/// Channels of the gate.
const GATED: usize = 4;
/// Channels of the reactive function, whose counts gather: something is left for the last
/// commit of a lane.
const WATCHED: usize = 6;
/// Who is left.
const STEADY: usize = 0;
/// Who dies.
const VICTIM: usize = 1;
/// How long a worker waits for another one to take a lane of its own, milliseconds: on a
/// busy machine it would soon take it itself, and keep it for half a minute.
const GRACE_MS: u64 = 5_000;
/// Most events that get their ack between the beginning of a hand-over and a death at
/// random: a hand-over lasts no longer.
const ACKS_MAX: usize = 300;
/// Most events that get their ack before a hand-over begins.
const FLOW_MAX: usize = 40;
/// How often a death is tried whose step did not come: a lane may have nothing left to
/// commit.
const TRIES_MAX: usize = 10;

/// Steps of whoever gives a lane, and the largest number of visits there: as many as the
/// lanes that it gives, or once where not each of them has something to commit.
const GIVING: [(&str, u64); 7] = [
    ("lane.before_drain", 4),
    ("lane.before_last_commit", 1),
    ("lane.after_last_remembering", 1),
    ("lane.after_last_commit", 1),
    ("lane.drained", 4),
    ("claim.before_release", 4),
    ("claim.after_release", 4),
];
/// The last step of a worker that leaves.
const FAREWELL: (&str, u64) = ("worker.before_farewell", 1);
/// Steps of whoever takes a lane.
const TAKING: [(&str, u64); 6] = [
    ("claim.before_claim", 4),
    ("claim.after_claim", 4),
    ("lane.takeover", 4),
    ("lane.before_fence", 4),
    ("lane.after_fence", 4),
    ("lane.taken", 4),
];

/// Which of the two dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Whoever gives.
    Giver,
    /// Whoever takes.
    Taker,
}

/// Why a lane is handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Its worker leaves.
    Leaves,
    /// A newcomer has a right to it.
    Shares,
}

#[derive(Debug, Clone, Copy)]
struct Death {
    part: Part,
    way: Way,
    moment: Moment,
}

impl Death {
    /// At each step of a part once, and once at random; the way changes from step to step,
    /// and from round to round.
    fn round(part: Part, round: usize, random: &mut StdRng) -> Vec<Self> {
        let steps = match part {
            Part::Giver => &GIVING[..],
            Part::Taker => &TAKING[..],
        };
        let ways = [Way::Leaves, Way::Shares];
        let steps = steps.iter().enumerate().map(|(at, (point, visits))| {
            let way = ways[(at + round) % ways.len()];
            // Who takes the lanes of a worker that leaves has its own share already.
            let before = match (part, way) {
                (Part::Taker, Way::Leaves) => *visits,
                _ => 0,
            };
            let visit = before + random.random_range(1..=*visits);
            (way, Moment::Step(point, visit))
        });
        let mut deaths: Vec<(Way, Moment)> = steps.collect();
        if part == Part::Giver {
            deaths.push((Way::Leaves, Moment::Step(FAREWELL.0, FAREWELL.1)));
        }
        // Who leaves is gone too soon for a moment from outside.
        let way = match part {
            Part::Giver => Way::Shares,
            Part::Taker => ways[round % ways.len()],
        };
        deaths.push((way, Moment::Acks(random.random_range(1..=ACKS_MAX))));
        let deaths = deaths.into_iter();
        deaths
            .map(|(way, moment)| Self { part, way, moment })
            .collect()
    }
}

/// How many there are.
fn lanes(lab: &Lab) -> usize {
    lab.deployment.functions.len() * usize::from(lab.deployment.store.lanes)
}

/// How many lanes the steady worker and the victim say that they own, in reports that are
/// younger than this.
async fn owned(lab: &Lab, since_us: u64) -> Result<[usize; 2], String> {
    let reports = lab.deployment.reports().await?;
    let count = |worker: &Instance<WorkerConfig>| {
        let report = reports.get(&worker.config.name);
        let report = report.filter(|report| report.at_us >= since_us);
        let functions = report.iter().flat_map(|report| report.functions.values());
        functions.map(|function| function.lanes.len()).sum()
    };
    let workers = &lab.deployment.workers;
    Ok([count(&workers[STEADY]), count(&workers[VICTIM])])
}

/// Waits until the two own so many lanes; false if the victim, where it runs, comes to its
/// end before: by itself, or from outside with so many acks.
async fn own(lab: &mut Lab, wanted: [usize; 2], acks: Option<usize>) -> bool {
    let since = now_us();
    let waited = wait::look("lanes are handed over", DEADLINE, async || {
        lab.traffic.assert_flows();
        let due = acks.is_some_and(|acks| lab.traffic.acked() >= acks);
        if due || lab.deployment.workers[VICTIM].ended().is_some() {
            return Ok(false);
        }
        match owned(lab, since).await? {
            owned if owned == wanted && acks.is_none() => Ok(true),
            owned => Err(format!("{owned:?} are owned, {wanted:?} are wanted")),
        }
    });
    match waited.await {
        Ok(came) => came,
        Err(problem) => panic!("{problem}\n{}", lab.deployment.describe()),
    }
}

async fn start(lab: &mut Lab, worker: usize, faults: String) {
    let worker = &mut lab.deployment.workers[worker];
    worker.config.arm(faults);
    worker.start().await;
}

/// Begins a hand-over; the victim may come to its end at once. Whether the steady worker
/// goes on.
async fn begin(lab: &mut Lab, death: Death, [all, half]: [usize; 2], flow: usize) -> bool {
    start(lab, VICTIM, death.moment.faults()).await;
    if (death.part, death.way) == (Part::Taker, Way::Shares) {
        return true;
    }
    if !own(lab, [half, half], None).await {
        return true;
    }
    lab.traffic.flows(flow).await;
    if (death.part, death.way) == (Part::Giver, Way::Leaves) {
        lab.deployment.workers[VICTIM].ask_to_end();
        return true;
    }
    lab.deployment.workers[STEADY].ask_to_end();
    if death.part == Part::Taker || !own(lab, [0, all], None).await {
        return false;
    }
    lab.deployment.workers[STEADY].stop().await;
    start(lab, STEADY, String::new()).await;
    true
}

/// One hand-over, from where the steady worker owns everything and the victim does not run
/// to where that is so again; false if the victim has survived it.
async fn dies(lab: &mut Lab, death: Death, flow: usize) -> bool {
    let all = lanes(lab);
    let half = all / 2;
    let steady = begin(lab, death, [all, half], flow).await;
    let acks = match death.moment {
        Moment::Acks(acks) => Some(lab.traffic.acked() + acks),
        Moment::Step(..) => None,
    };
    let goal = match (death.part, death.way) {
        (Part::Taker, Way::Leaves) => [0, all],
        // It is over when the victim has ended in order.
        (Part::Giver, Way::Leaves) => [usize::MAX; 2],
        (_, Way::Shares) => [half, half],
    };
    let survived = own(lab, goal, acks).await;
    let victim = &mut lab.deployment.workers[VICTIM];
    let died = if survived {
        victim.stop().await;
        false
    } else {
        let status = victim.kill();
        let died = !status.success();
        if died {
            assert_killed(victim, status);
        }
        died
    };
    if !steady {
        lab.deployment.workers[STEADY].stop().await;
        start(lab, STEADY, String::new()).await;
    }
    own(lab, [all, 0], None).await;
    died
}

/// Giver and taker die at each step of a hand-over, and at random, so many times each; of
/// these deaths, those of these kinds. In one round a step is died at in one way.
pub async fn is_exact(nats: NatsChoice, kinds: &[(Part, Way)], rounds: usize) {
    let Some(mut lab) = Lab::start(nats, GATED, WATCHED).await else {
        return;
    };
    let mut random = StdRng::seed_from_u64(lab.deployment.seed);
    eprintln!("seed {}", lab.deployment.seed);
    for worker in [VICTIM, STEADY] {
        lab.deployment.workers[worker].stop().await;
        lab.deployment.workers[worker].config.claim_interval_ms = GRACE_MS;
    }
    start(&mut lab, STEADY, String::new()).await;
    let all = lanes(&lab);
    own(&mut lab, [all, 0], None).await;
    let mut deaths = Vec::new();
    for round in 0..rounds {
        for part in [Part::Giver, Part::Taker] {
            deaths.extend(Death::round(part, round, &mut random));
        }
    }
    deaths.retain(|death| kinds.contains(&(death.part, death.way)));
    deaths.shuffle(&mut random);
    for death in &deaths {
        let mut tries = 0;
        while !dies(&mut lab, *death, random.random_range(1..=FLOW_MAX)).await {
            tries += 1;
            eprintln!("{death:?} did not come");
            assert!(tries < TRIES_MAX, "{death:?} does not come");
        }
    }
    eprintln!("{} deaths", deaths.len());
    start(&mut lab, VICTIM, String::new()).await;
    lab.conclude(&[]).await;
}
