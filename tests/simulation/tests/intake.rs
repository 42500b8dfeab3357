//! Functions of one lane that share a reader, over the model of the bus: whatever breaks,
//! and however slow one is, each gets every event of the lane behind its position, once
//! and in order.

#![cfg(debug_assertions)]

use std::sync::Arc;
use std::time::Duration;

use bus::ReaderOptions;
use bus::model::ModelFaults;
use parking_lot::Mutex;
use protocol::bus::{Outgoing, Stored};
use protocol::lane::Lane;
use protocol::subject::{Kind, Subject};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use simulation::plan::{Scenario, Schedule};
use simulation::world::{World, settings};
use tokio::time::{Instant, sleep};
use workers::intake::Intakes;

const SEEDS: u64 = 300;
const EVENTS: u64 = 400;
const FUNCTIONS: u64 = 5;
/// Large enough that a slow function falls out of what is kept.
const PAYLOAD_BYTES: usize = 24 << 10;
const OPTIONS: ReaderOptions = ReaderOptions {
    batch: 16,
    bytes_max: 1 << 20,
};
/// Virtual seconds within which everything has come once nothing breaks any more.
const REST: Duration = Duration::from_secs(900);
const LANE: Lane = Lane(0);

/// What one function has got, and from which sequence on it had to get it.
#[derive(Debug, Default)]
struct Got {
    from: u64,
    seqs: Vec<u64>,
}

async fn world(seed: u64) -> World {
    let schedule = Schedule {
        scenario: Scenario::Lane,
        seed,
        steps: Vec::new(),
    };
    let mut settings = settings(Duration::from_secs(600), Duration::from_secs(100_000));
    settings.lanes = 2;
    World::start(&schedule, None, &settings).await
}

/// Publishes to both lanes, now and then with a pause; what gets lost is lost.
async fn publish(world: &World, mut dice: StdRng) {
    let bus = world.model.connect("publisher");
    for n in 0..EVENTS {
        let channel = format!("doc.{}", dice.random_range(0..8));
        let (subject, envelope) = world.event(Kind::Ev, &channel, "ann/c", n);
        let event = Outgoing {
            subject,
            headers: envelope.to_headers(),
            payload: vec![0; PAYLOAD_BYTES].into(),
            msg_id: None,
            expect: None,
        };
        let _ = bus.publish(event).await;
        if dice.random_bool(0.05) {
            sleep(Duration::from_millis(dice.random_range(1..20_000))).await;
        }
    }
}

fn filter(world: &World) -> Subject {
    Subject::lane_filter(Kind::Ev, &world.store.name, LANE)
}

/// Takes events at a pace of its own, and attaches anew now and then.
async fn function(world: World, intakes: Arc<Intakes>, mut dice: StdRng, got: Arc<Mutex<Got>>) {
    sleep(Duration::from_millis(dice.random_range(0..100_000))).await;
    let last = world
        .model
        .events(&world.events())
        .last()
        .map_or(0, |event| event.seq);
    let from = match dice.random_range(0..3) {
        0 => 1,
        1 => last + 1,
        _ => dice.random_range(1..=last + 1),
    };
    got.lock().from = from;
    let slow = dice.random_bool(0.4);
    let mut next = from;
    loop {
        let mut tap = intakes.attach(&world.events(), &filter(&world), next);
        loop {
            let Ok(events) = tap.next_batch().await else {
                sleep(Duration::from_millis(500)).await;
                break;
            };
            next = events.last().map_or(next, |event| event.seq + 1);
            got.lock().seqs.extend(events.iter().map(|event| event.seq));
            if slow {
                sleep(Duration::from_millis(dice.random_range(1..3_000))).await;
            }
            if dice.random_bool(0.02) {
                break;
            }
        }
    }
}

fn due(all: &[Stored], filter: &Subject, from: u64) -> Vec<u64> {
    let lane = filter.as_str().trim_end_matches('>');
    let of_lane = all.iter().filter(|event| event.subject.starts_with(lane));
    let seqs = of_lane.map(|event| event.seq);
    seqs.filter(|seq| *seq >= from).collect()
}

async fn run(seed: u64) {
    let world = world(seed).await;
    let intakes = Arc::new(Intakes::new(world.model.connect("worker"), OPTIONS));
    world.model.set_faults(ModelFaults {
        leaders_alternate: false,
        ..ModelFaults::rough(seed)
    });
    let dice = |n: u64| StdRng::seed_from_u64(seed << 8 | n);
    let functions: Vec<Arc<Mutex<Got>>> = (0..FUNCTIONS).map(|_| Arc::default()).collect();
    let tasks: Vec<_> = (1..)
        .zip(&functions)
        .map(|(n, got)| {
            let work = function(world.clone(), intakes.clone(), dice(n), got.clone());
            tokio::spawn(work)
        })
        .collect();
    publish(&world, dice(0)).await;
    sleep(Duration::from_secs(100)).await;
    world.model.set_faults(ModelFaults::default());
    let (all, filter) = (world.model.events(&world.events()), filter(&world));
    let until = Instant::now() + REST;
    for got in &functions {
        let due = due(&all, &filter, got.lock().from);
        while got.lock().seqs.len() < due.len() && Instant::now() < until {
            sleep(Duration::from_millis(500)).await;
        }
        let got = got.lock();
        assert_eq!(got.seqs, due, "seed {seed}: from {}", got.from);
        assert!(all.len() > 100, "seed {seed}: nearly nothing was stored");
    }
    tasks.iter().for_each(|task| task.abort());
}

#[test]
fn each_function_of_a_lane_gets_every_event_behind_its_position() {
    for seed in 0..SEEDS {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime without a driver needs nothing of the system");
        runtime.block_on(run(seed));
    }
}
