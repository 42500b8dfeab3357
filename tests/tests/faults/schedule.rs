//! A function on a schedule, while its workers die at every step of a commit: each tick is
//! stored once and handled once, in order, and none is left out.

use harness::follower::EARLIEST;
use harness::{DEADLINE, Deployment, FunctionChoice, TICKS, wait};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::hunt::forgetful;

/// Steps, and the largest number of visits that a worker survives there: of each tick it
/// makes two commits, of which one remembers.
const STEPS: [(&str, u64); 6] = [
    ("lane.takeover", 1),
    ("lane.before_run", 3),
    ("lane.before_commit", 6),
    ("lane.after_commit", 6),
    ("lane.after_remembering", 3),
    ("lane.before_commit", 1),
];
/// Kills at each.
const EACH: usize = 2;

/// Waits until one of the workers has come to its end; which.
async fn next_end(deployment: &mut Deployment) -> usize {
    let ended = wait::look("a worker dies", DEADLINE, async || {
        let mut workers = deployment.workers.iter_mut();
        let ended = workers.position(|worker| worker.ended().is_some());
        ended.ok_or("both live".to_owned())
    });
    match ended.await {
        Ok(fallen) => fallen,
        Err(problem) => panic!("{problem}\n{}", deployment.describe()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_tick_is_made_once_however_workers_die() {
    let builder = forgetful().without_mirror().edges(1).workers(2);
    let builder = builder.functions(&[FunctionChoice::Ticker]);
    let Some(mut deployment) = builder.start().await else {
        return;
    };
    let follower = deployment.follow(&[0], "bob", TICKS, EARLIEST).await;
    let mut random = StdRng::seed_from_u64(deployment.seed);
    eprintln!("seed {}", deployment.seed);
    let steps = STEPS.iter().cycle().take(STEPS.len() * EACH);
    let mut switches = steps.map(|(point, visits)| {
        let visit = random.random_range(1..=*visits);
        format!("{point}=kill@{visit}")
    });
    for worker in &mut deployment.workers {
        worker.stop().await;
        worker.config.faults = switches.next().unwrap_or_default();
        worker.start().await;
    }
    // Whoever has the lane dies, and leaves it to the other, which dies in its turn.
    for faults in switches {
        let fallen = next_end(&mut deployment).await;
        let worker = &mut deployment.workers[fallen];
        worker.kill();
        worker.config.faults = faults;
        worker.start().await;
    }
    for worker in &mut deployment.workers {
        if worker.ended().is_some() {
            worker.kill();
        } else {
            worker.stop().await;
        }
        worker.config.faults = String::new();
        worker.start().await;
    }
    let seen = follower.count();
    follower.received(seen + 4).await;
    deployment.end_ticks().await;
    let report = deployment.check().await;
    assert!(report.counts.inputs_judged > 0, "{report}");
}
