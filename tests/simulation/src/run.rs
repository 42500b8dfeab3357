//! One run: a schedule on a runtime of its own, with virtual time, and what came of it.
//!
//! Everything but the order in which tasks that are ready are polled inside a `select!`
//! follows from the schedule: Tokio's own seed for that cannot be set on a stable
//! compiler, and leases are named by chance. So a run nearly always comes out the same
//! again, and whoever shrinks one looks whether it does.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Once;
use std::time::Duration;

use bus::model::CLOCK_START_US;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::time::{Instant, sleep};

use crate::plan::{Plant, Scenario, Schedule, Step, draw};
use crate::scenario::{self, Scene};
use crate::world::World;

thread_local! {
    /// What panicked on this thread while it simulates; `None` otherwise.
    static PANICS: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// What came of a run.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What is wrong; empty: nothing.
    pub problems: Vec<String>,
    /// What was injected how often.
    pub injected: BTreeMap<&'static str, u64>,
    /// What the checker looked at.
    pub counts: checker::Counts,
}

impl Schedule {
    /// The schedule of a seed.
    pub fn of(scenario: Scenario, seed: u64, steps: usize) -> Self {
        // Another stream of chance than the model's.
        let mut dice = StdRng::seed_from_u64(seed ^ 0x5ca1_ab1e);
        let mix = scenario::mix(scenario);
        Self {
            scenario,
            seed,
            steps: (0..steps).map(|_| draw(mix, &mut dice)).collect(),
        }
    }
}

/// Carries a schedule out, with a fault of ours if one is given.
pub fn run(schedule: &Schedule, plant: Option<Plant>) -> Outcome {
    watch_panics();
    PANICS.set(Some(Vec::new()));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without a driver needs nothing of the system");
    let mut outcome = runtime.block_on(live(schedule, plant));
    drop(runtime);
    outcome.problems.extend(PANICS.take().unwrap_or_default());
    outcome
}

async fn live(schedule: &Schedule, plant: Option<Plant>) -> Outcome {
    let start = Instant::now();
    let _clock = service::clock::simulate(move || {
        CLOCK_START_US + u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX)
    });
    let settings = scenario::settings(schedule.scenario);
    let world = World::start(schedule, plant, &settings).await;
    let mut scene = Scene::start(schedule.scenario, &world, schedule.seed).await;
    for step in &schedule.steps {
        take(&world, &mut scene, step).await;
    }
    scene.end().await;
    let report = world.history.check();
    let mut problems = world.problems();
    if !report.is_clean() {
        problems.push(report.to_string());
    }
    Outcome {
        problems,
        injected: world.tally(),
        counts: report.counts,
    }
}

async fn take(world: &World, scene: &mut Scene, step: &Step) {
    if !world.does(step).await {
        scene.take(step).await;
    }
    sleep(Duration::from_millis(step.pause_ms.into())).await;
}

/// A task that panics must not pass for one that ended.
fn watch_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let ours = PANICS.with_borrow_mut(|panics| {
                let ours = panics.as_mut();
                ours.map(|panics| panics.push(format!("panic: {info}")))
            });
            if ours.is_none() {
                before(info);
            }
        }));
    });
}
