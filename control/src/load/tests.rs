//! Rates, sums and what is gone, from reports made by hand.

use bus::model::{Model, ModelFaults};
use protocol::checkpoint::Digest;

use super::*;

fn name() -> FunctionName {
    FunctionName::parse("gate").unwrap()
}

fn spec() -> FunctionSpec {
    let digest = Digest::from_bytes([1; 32]);
    let json = serde_json::json!({
        "name": "gate", "digest": digest.as_str(), "store": "main", "trigger": "gate", "version": 4,
    });
    serde_json::from_value(json).unwrap()
}

/// A worker that has acknowledged so many events at this second, and owns these lanes.
fn worker(named: &str, second: u64, ack: u64, lanes: &[LaneReport]) -> WorkerReport {
    let mut work = Work {
        ack,
        cpu_us: ack * 100,
        ..Work::default()
    };
    (0..ack).for_each(|_| work.latency.record(4_000));
    let function = FunctionReport {
        digest: Digest::from_bytes([1; 32]),
        revision: 9,
        version: 4,
        lanes: lanes.to_vec(),
        memory_bytes: 1_000,
        work: Some(work),
        trial: None,
    };
    WorkerReport {
        name: named.into(),
        incarnation: 1,
        version: "1".into(),
        store: StoreName::parse("main").unwrap(),
        at_us: second * 1_000_000,
        functions: [(name(), function)].into(),
        broken: BTreeMap::new(),
        uncounted: 0,
    }
}

fn watcher() -> Watcher {
    let bus = Model::start(ModelFaults::default()).connect("test");
    Deployer::new(&bus, "ann").watcher(StoreName::parse("main").unwrap())
}

fn look(watcher: &mut Watcher, reports: Vec<WorkerReport>) -> Load {
    watcher.take(reports);
    load(&spec(), 4, &watcher.seen)
}

#[tokio::test]
async fn a_rate_is_the_difference_of_two_reports_over_their_time() {
    let mut watcher = watcher();
    let first = look(&mut watcher, vec![worker("a", 10, 100, &[])]);
    assert_eq!((first.rates, first.total.ack), (None, 100));
    let second = look(&mut watcher, vec![worker("a", 12, 140, &[])]);
    let rates = second.rates.unwrap();
    assert!((rates.events_per_s - 20.0).abs() < 1e-9, "{rates:?}");
    assert!((rates.cpu - 0.002).abs() < 1e-9, "{rates:?}");
    let p50 = rates.p50_ms.unwrap();
    assert!((3.0..=5.0).contains(&p50), "{p50}");
    // The same report again is no news, and the rate stays.
    let third = look(&mut watcher, vec![worker("a", 12, 140, &[])]);
    assert_eq!(third.rates, Some(rates));
    // Whoever started anew counts anew.
    let mut anew = worker("a", 14, 5, &[]);
    anew.incarnation = 2;
    let fourth = look(&mut watcher, vec![anew]);
    assert_eq!((fourth.rates, fourth.total.ack), (None, 5));
}

#[tokio::test]
async fn workers_are_taken_together() {
    let mut watcher = watcher();
    let lane = |lane, lag_events, lag_ms| LaneReport {
        lag_events,
        lag_ms,
        ..LaneReport::new(Lane(lane), 9)
    };
    let mut halted = lane(2, 7, 900);
    halted.halted = Some("no schema".into());
    let now = |second, a, b| {
        vec![
            worker("a", second, a, &[lane(0, 1, 10), halted.clone()]),
            worker("b", second, b, &[lane(1, 2, 40)]),
        ]
    };
    look(&mut watcher, now(1, 0, 0));
    let both = look(&mut watcher, now(2, 10, 30));
    assert!((both.rates.as_ref().unwrap().events_per_s - 40.0).abs() < 1e-9);
    assert_eq!((both.running, both.lanes), (2, 4));
    assert_eq!((both.lag_events, both.lag_ms), (10, 900));
    assert_eq!((both.memory_bytes, both.total.ack), (2_000, 40));
    let lanes = both.by_lane.iter().map(|load| load.lane.lane.0);
    assert_eq!(lanes.collect::<Vec<_>>(), [0, 1, 2]);
    // Who says nothing any more is gone.
    let one = look(&mut watcher, vec![worker("b", 3, 30, &[lane(1, 0, 0)])]);
    assert_eq!((one.running, one.total.ack), (1, 30));
}
