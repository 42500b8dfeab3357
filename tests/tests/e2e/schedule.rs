//! A function on a schedule: one tick for each time, whichever workers there are; none
//! while it is paused.

use std::time::Duration;

use client::data_of;
use control::Deployer;
use harness::follower::EARLIEST;
use harness::{Deployment, Follower, FunctionChoice, TICKS, until};
use protocol::name::FunctionName;
use protocol::stream::StreamName;
use protocol::tick::Tick;
use serde_json::Value;

/// Ticks that are waited for at each turn.
const SOME: usize = 4;

fn ticker() -> FunctionName {
    FunctionName::parse(FunctionChoice::Ticker.name()).unwrap()
}

/// The ticks that a follower has seen, and the counts that the function made of them.
fn seen(follower: &Follower) -> (Vec<Tick>, Vec<u64>) {
    let (mut ticks, mut counts) = (Vec::new(), Vec::new());
    for event in follower.events() {
        let data: Value = serde_json::from_slice(&data_of(&event).unwrap()).unwrap();
        match data["count"].as_u64() {
            Some(count) => counts.push(count),
            None => ticks.push(serde_json::from_value(data).unwrap()),
        }
    }
    (ticks, counts)
}

/// Waits for more ticks, and for what was made of them.
async fn more(follower: &Follower) {
    let (before, _) = seen(follower);
    until("more ticks come", async || {
        let (ticks, counts) = seen(follower);
        let enough = ticks.len() >= before.len() + SOME && counts.len() >= before.len() + SOME;
        let (ticks, counts) = (ticks.len(), counts.len());
        enough
            .then_some(())
            .ok_or(format!("{ticks} ticks, {counts} counts"))
    })
    .await;
}

/// The worker that has the lane of the ticks.
async fn owner(deployment: &Deployment) -> usize {
    until("a worker owns the lane of the ticks", async || {
        let reports = deployment.reports().await?;
        let lanes = |name: &str| {
            let function = reports.get(name)?.functions.get(&ticker())?;
            Some(function.lanes.len())
        };
        let workers = deployment.workers.iter();
        let lanes: Vec<usize> = workers
            .map(|worker| lanes(&worker.config.name).unwrap_or(0))
            .collect();
        let one = lanes.iter().sum::<usize>() == 1;
        let owner = lanes.iter().position(|lanes| *lanes == 1);
        owner.filter(|_| one).ok_or(format!("{lanes:?}"))
    })
    .await
}

/// Waits until so much more time has passed on the server.
async fn passes(deployment: &Deployment, time: Duration) {
    let events = StreamName::events(deployment.store_name());
    let from = deployment.bus.server_time(&events).await.unwrap();
    until("time passes", async || {
        let now = deployment.bus.server_time(&events).await;
        let over = Duration::from_micros(now.map_err(|error| error.to_string())? - from);
        (over > time).then_some(()).ok_or(format!("{over:?}"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_tick_comes_once_whoever_makes_it() {
    let builder = Deployment::builder().hurried().without_mirror().processes();
    let builder = builder
        .edges(1)
        .workers(2)
        .functions(&[FunctionChoice::Ticker]);
    let Some(mut deployment) = builder.start().await else {
        return;
    };
    let follower = deployment.follow(&[0], "bob", TICKS, EARLIEST).await;
    more(&follower).await;
    let first = owner(&deployment).await;
    deployment.workers[first].kill();
    more(&follower).await;
    deployment.workers[first].start().await;
    let second = owner(&deployment).await;
    deployment.workers[second].stop().await;
    more(&follower).await;
    // Nobody is there for a while: what fell due meanwhile is made, too.
    deployment.workers[first].stop().await;
    passes(&deployment, Duration::from_secs(3)).await;
    deployment.workers[first].start().await;
    more(&follower).await;
    deployment.end_ticks().await;
    let report = deployment.check().await;
    let (ticks, counts) = seen(&follower);
    assert!(ticks.len() >= 4 * SOME, "{report}");
    let due: Vec<u64> = (ticks[0].due..).take(ticks.len()).collect();
    assert_eq!(ticks.iter().map(|tick| tick.due).collect::<Vec<_>>(), due);
    assert!(ticks.iter().all(|tick| tick.missed == 0));
    let expected: Vec<u64> = (1..=counts.len() as u64).collect();
    assert_eq!(counts, expected, "what it remembers counts each tick once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_function_makes_no_tick() {
    let builder = Deployment::builder().without_mirror().edges(1);
    let builder = builder.functions(&[FunctionChoice::Ticker]);
    let Some(mut deployment) = builder.start().await else {
        return;
    };
    let follower = deployment.follow(&[0], "bob", TICKS, EARLIEST).await;
    more(&follower).await;
    let deployer = Deployer::new(&deployment.bus, "tester");
    deployer.pause(&ticker(), true).await.unwrap();
    until("no worker runs it", async || {
        let reports = deployment.reports().await?;
        let mut reports = reports.values();
        let runs = reports.any(|report| report.functions.contains_key(&ticker()));
        (!runs).then_some(()).ok_or("it still runs".to_owned())
    })
    .await;
    let events = StreamName::events(deployment.store_name());
    let before = deployment.bus.stream_state(&events).await.unwrap().last_seq;
    passes(&deployment, Duration::from_secs(3)).await;
    let after = deployment.bus.stream_state(&events).await.unwrap().last_seq;
    assert_eq!(before, after, "nothing is stored");
    deployer.pause(&ticker(), false).await.unwrap();
    more(&follower).await;
    deployment.end_ticks().await;
    deployment.check().await;
}
