//! A hundred functions on sixteen lanes each: every lane is read once for all of them, and
//! a lane that cannot be read for now is named.

use std::collections::BTreeSet;

use async_nats::jetstream;
use control::{Deployer, FunctionDraft};
use harness::{Deployment, FunctionChoice, environment, until};
use protocol::name::{ChannelPattern, FunctionName};
use protocol::stream::{Bucket, StreamName};

use super::common::{EARLIEST, edit};

const LANES: u16 = 16;
/// More lanes in all than the thousand consumers that NATS 2.15 gives a stream.
const FUNCTIONS: usize = 100;
const WORKERS: usize = 2;
/// What two idle workers may hold in memory, bytes.
const RESIDENT_BYTES_MAX: u64 = 512 << 20;
/// Events that each function handles.
const EVENTS: usize = 3;
/// Consumers of EVENTS that are not for lanes: replays of edge nodes, and readers that a
/// function had for itself a moment ago, which the server keeps for seconds.
const OTHERS_MAX: usize = 100;

/// EVENTS as whoever looks after the server changes it.
async fn events(deployment: &Deployment) -> (jetstream::Context, jetstream::stream::Info) {
    let nats = async_nats::connect(deployment.servers.nats_url()).await;
    let context = jetstream::new(nats.unwrap());
    let name = StreamName::events(deployment.store_name());
    let stream = context.get_stream(name.as_str()).await.unwrap();
    let info = stream.cached_info().clone();
    (context, info)
}

async fn takes_consumers(deployment: &Deployment, max: i32) {
    let (context, info) = events(deployment).await;
    let config = jetstream::stream::Config {
        max_consumers: max,
        ..info.config
    };
    context.update_stream(config).await.unwrap();
}

async fn deploy(deployment: &Deployment) {
    let deployer = Deployer::new(&deployment.bus, "test").compiled(environment::compiled());
    let module = environment::module("probe");
    let order = r#"{"do":"emit","channel":"stats.all"}"#;
    for number in 0..FUNCTIONS {
        let draft = FunctionDraft {
            emits: vec![ChannelPattern::parse("stats.>").unwrap()],
            config: [("order".to_owned(), order.to_owned())].into(),
            ..FunctionDraft::new(
                FunctionName::parse(&format!("f{number:03}")).unwrap(),
                deployment.store_name().clone(),
                vec![ChannelPattern::parse("chat.>").unwrap()],
            )
        };
        deployer.deploy(draft, vec![module.clone()]).await.unwrap();
    }
}

/// Waits until these many workers own all lanes, each its share of every function's.
async fn shared(deployment: &Deployment, workers: usize) {
    let all = FUNCTIONS * usize::from(LANES);
    until(&format!("{workers} workers own {all} lanes"), async || {
        let owned = deployment.owned().await?;
        let shares: Vec<usize> = owned.values().copied().filter(|lanes| *lanes > 0).collect();
        let even = |share: &usize| share.abs_diff(all / workers) <= FUNCTIONS;
        match shares.len() == workers && shares.iter().sum::<usize>() == all {
            true if shares.iter().all(even) => Ok(()),
            _ => Err(format!("{owned:?}")),
        }
    })
    .await;
}

/// Every lane is read, and by few: a consumer for each function would be refused.
async fn few_read(deployment: &Deployment) {
    let (_, info) = events(deployment).await;
    let most = (WORKERS + 1) * usize::from(LANES) + OTHERS_MAX;
    assert!(
        info.state.consumer_count <= most,
        "{} consumers",
        info.state.consumer_count
    );
    for (name, report) in deployment.reports().await.unwrap() {
        let lanes = report.functions.values().flat_map(|of| &of.lanes);
        let unread: Vec<_> = lanes.filter(|lane| lane.unread.is_some()).collect();
        assert!(unread.is_empty(), "{name}: {unread:?}");
    }
}

fn resident_bytes(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    kib.unwrap().parse::<u64>().unwrap() * 1024
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_functions_share_the_readers_of_their_lanes() {
    let builder = Deployment::builder()
        .without_mirror()
        .processes()
        .edges(1)
        .workers(WORKERS + 1)
        .functions(&[])
        .store(|store| store.lanes = LANES);
    let Some(mut deployment) = builder.start().await else {
        return;
    };
    deployment.workers[WORKERS].stop().await;
    deploy(&deployment).await;
    shared(&deployment, WORKERS).await;
    few_read(&deployment).await;
    let pids: Vec<u32> = deployment.workers[..WORKERS]
        .iter_mut()
        .map(|worker| worker.pid())
        .collect();
    let resident: u64 = pids.into_iter().map(resident_bytes).sum();
    assert!(resident <= RESIDENT_BYTES_MAX, "{} MiB", resident >> 20);

    let seen = deployment.follow(&[0], "bob", "stats.all", EARLIEST).await;
    let ann = client::Client::connect(deployment.client_options(&[0], "ann")).await;
    let ann = ann.unwrap();
    let mut published = 0;
    let mut round = async |deployment: &Deployment| {
        for _ in 0..EVENTS {
            let channel = format!("chat.room-{published}");
            let draft = client::Draft::json(&channel, "{}");
            ann.publish(draft).await.unwrap();
            published += 1;
        }
        seen.received(published * FUNCTIONS).await;
        few_read(deployment).await;
    };
    round(&deployment).await;
    deployment.workers[WORKERS].start().await;
    shared(&deployment, WORKERS + 1).await;
    round(&deployment).await;
    deployment.workers[WORKERS].stop().await;
    shared(&deployment, WORKERS).await;
    round(&deployment).await;

    let ids = seen.events().into_iter().map(|event| event.id);
    let ids: Vec<String> = ids.collect();
    let different: BTreeSet<&String> = ids.iter().collect();
    assert_eq!(ids.len(), 3 * EVENTS * FUNCTIONS, "and no more");
    assert_eq!(different.len(), ids.len(), "once each");
    deployment.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lane_that_the_stream_refuses_is_named_until_it_is_read() {
    let builder = Deployment::builder().without_mirror().edges(1);
    let Some(mut deployment) = builder.functions(&[FunctionChoice::Gate]).start().await else {
        return;
    };
    takes_consumers(&deployment, 1).await;
    deployment.deploy(FunctionChoice::Stats).await;
    let refused = async || {
        let mut refused = BTreeSet::new();
        for report in deployment.reports().await?.into_values() {
            let lanes = report.functions.into_values().flat_map(|of| of.lanes);
            refused.extend(lanes.filter_map(|lane| Some((lane.lane.0, lane.unread?))));
        }
        Ok::<_, String>(refused)
    };
    let named = until("the worker names lanes that it cannot read", async || {
        let refused = refused().await?;
        match refused.len() {
            0 => Err("none".to_owned()),
            _ => Ok(refused),
        }
    })
    .await;
    for (lane, reason) in named {
        assert!(reason.contains("10026"), "{lane}: {reason}");
    }
    let stats = deployment.functions.last().unwrap();
    let deployer = Deployer::new(&deployment.bus, "test");
    let functions = deployment.bus.kv(Bucket::Functions).await.unwrap();
    let (_, revision) = functions.get(stats.name.as_str()).await.unwrap().unwrap();
    let rollout = deployer.rollout(stats, revision, std::time::Duration::ZERO);
    let waiting = rollout.await.unwrap().waiting;
    let told = waiting.keys().any(|reason| reason.contains("cannot read"));
    assert!(told, "{waiting:?}");

    takes_consumers(&deployment, 10_240).await;
    until("every lane is read", async || {
        let refused = refused().await?;
        match refused.is_empty() {
            true => Ok(()),
            false => Err(format!("{refused:?}")),
        }
    })
    .await;
    let mut ann = deployment.writer(&[0], "ann").await;
    for number in 0..20 {
        let channel = format!("doc.room-{number}");
        ann.publish(&channel, edit(1)).await.unwrap();
    }
    deployment.check().await;
}
