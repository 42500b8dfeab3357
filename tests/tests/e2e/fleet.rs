//! Lanes are spread over the workers that there are: one that comes takes its share, one
//! that goes hands over, one that dies is replaced; each input has its outputs once all
//! the while.

use std::collections::{BTreeMap, BTreeSet};

use harness::traffic::{Traffic, channels, follow_all};
use harness::{Deployment, FunctionChoice, until};
use protocol::report::worker_key;
use protocol::stream::{Bucket, StreamName};
use tokio::time::Instant;

const LANES: u16 = 16;

/// Waits until these many workers own all lanes, each the same number; prints how long
/// that took, which nothing here depends on.
async fn shared(deployment: &Deployment, workers: usize, what: &str) {
    let began = Instant::now();
    let all = deployment.functions.len() * usize::from(LANES);
    until(what, async || {
        let owned = deployment.owned().await?;
        let shares: Vec<usize> = owned.values().copied().filter(|lanes| *lanes > 0).collect();
        if shares.len() == workers && shares.iter().all(|share| *share == all / workers) {
            Ok(())
        } else {
            Err(format!("{owned:?}"))
        }
    })
    .await;
    eprintln!("{what}: {:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lanes_are_shared_by_the_workers_that_there_are() {
    let builder = Deployment::builder()
        .without_mirror()
        .processes()
        .workers(2)
        .store(|store| store.lanes = LANES);
    let Some(mut deployment) = builder.start().await else {
        return;
    };
    let channels = channels(&deployment);
    let followers = follow_all(&mut deployment, &channels).await;
    let mut traffic = Traffic::begin(&deployment, &channels).await;
    shared(&deployment, 2, "two that start together share").await;
    traffic.flows(50).await;

    deployment.workers[1].stop().await;
    shared(&deployment, 1, "one that goes hands over").await;
    traffic.flows(50).await;

    deployment.workers[1].start().await;
    shared(&deployment, 2, "one that comes takes its share").await;
    traffic.flows(50).await;

    deployment.workers[0].kill();
    shared(&deployment, 1, "one that dies is replaced").await;
    traffic.flows(50).await;

    deployment.workers[0].start().await;
    shared(&deployment, 2, "one that is back takes its share").await;
    traffic.conclude(&mut deployment, followers).await;
}

/// How many reports a worker writes in the time in which its idle lanes write nothing:
/// twice what a lease of a lane's own would need for one renewal of each.
const REPORTS: usize = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_lanes_write_nothing() {
    let builder = Deployment::builder()
        .without_mirror()
        .edges(1)
        .functions(&[FunctionChoice::Gate])
        .store(|store| store.lanes = LANES);
    let Some(mut deployment) = builder.start().await else {
        return;
    };
    let name = deployment.workers[0].config.name.clone();
    shared(&deployment, 1, "the worker owns all lanes").await;
    let workers = deployment.bus.kv(Bucket::Workers).await.unwrap();
    let lanes = deployment.bus.kv(Bucket::Lanes).await.unwrap();
    let events = StreamName::events(deployment.store_name());
    let mut claims = BTreeMap::new();
    for key in lanes.keys().await.unwrap() {
        claims.insert(key.clone(), lanes.get(&key).await.unwrap().unwrap().1);
    }
    assert_eq!(claims.len(), usize::from(LANES));
    let before = deployment.bus.stream_state(&events).await.unwrap();

    let key = worker_key(deployment.store_name(), &name);
    let mut seen = BTreeSet::new();
    until("the worker goes on reporting", async || {
        let report = workers.get(&key).await.map_err(|error| error.to_string())?;
        seen.extend(report.map(|(_, revision)| revision));
        match seen.len() {
            reports if reports >= REPORTS => Ok(()),
            reports => Err(format!("{reports} reports")),
        }
    })
    .await;
    let after = deployment.bus.stream_state(&events).await.unwrap();
    assert_eq!(
        after.last_seq, before.last_seq,
        "no lane wrote a checkpoint"
    );
    for (key, revision) in claims {
        let claim = lanes.get(&key).await.unwrap().unwrap();
        assert_eq!(claim.1, revision, "no claim was written again: {key}");
    }
    deployment.stop().await;
}
