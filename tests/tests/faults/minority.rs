//! One of three servers is cut off from the others, together with an edge node that
//! knows no other server: it acknowledges nothing, the rest goes on, a client that has
//! seen more than the cut-off server comes to it and is not told that it is wrong.
//!
//! Owns nothing beyond the deployment.

use harness::follower::EARLIEST;
use harness::traffic::{Traffic, channels, follow_all};
use harness::{Cluster, Deployment, Follower, KafkaChoice, NatsChoice, Servers};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// The server that is cut off; it leads EVENTS by then.
const MINORITY: usize = 0;
/// Events that get their ack on the other side, before and after the wanderer moves.
const ACKS: usize = 60;
/// The stream that every event ends up in.
const EVENTS: &str = "EVENTS-main";

/// The first edge node reaches NATS by the minority alone, everything else by the
/// others.
async fn divided(seed: u64) -> Option<Deployment> {
    let servers = Servers::start_with(NatsChoice::Three, KafkaChoice::None, &[]).await?;
    let cluster = servers.cluster();
    let alone = cluster.url_of(MINORITY).to_owned();
    let others = format!("{},{}", cluster.url_of(1), cluster.url_of(2));
    let by_workers = others.clone();
    let builder = Deployment::builder()
        .seed(seed)
        .without_mirror()
        .nats(NatsChoice::Three)
        .edge_config(move |index, config| {
            config.nats.url = match index {
                0 => alone.clone(),
                _ => others.clone(),
            };
        })
        .worker_config(move |_, config| config.nats.url = by_workers.clone());
    Some(builder.start_on(servers).await)
}

/// The minority is cut off and healed so many times.
pub async fn is_cut_off(times: usize) {
    let seed = harness::seed();
    eprintln!("seed {seed}");
    let Some(mut deployment) = divided(seed).await else {
        return;
    };
    let cluster = deployment.servers.cluster().clone();
    let mut random = StdRng::seed_from_u64(seed);
    let channels = channels(&deployment);
    let followers = follow_all(&mut deployment, &channels).await;
    // One that is stuck while its node is cut off, and two that are not.
    let through = [vec![0], vec![1], vec![1]];
    let mut traffic = Traffic::begin_through(&deployment, &channels, &through).await;
    let mut wanderers = Vec::with_capacity(times);
    for time in 0..times {
        traffic.flows(ACKS).await;
        let told = random.random();
        eprintln!("cut {time}: routes are closed: {told}");
        cut(&cluster, told).await;
        wanderers.push(wander(&mut deployment, &cluster, &mut traffic).await);
        cluster.whole().await;
    }
    traffic.conclude(&mut deployment, followers).await;
}

async fn cut(cluster: &Cluster, told: bool) {
    cluster.lead(EVENTS, MINORITY).await;
    cluster.isolate(MINORITY, told);
    cluster.leader_but(EVENTS, Some(MINORITY)).await;
}

/// A subscriber sees what the majority stores, and goes to the minority with it, which
/// is healed while it waits there.
async fn wander(deployment: &mut Deployment, cluster: &Cluster, traffic: &mut Traffic) -> Follower {
    let mut wanderer = deployment.follow(&[1], "joe", "chat.a", EARLIEST).await;
    let seen = wanderer.count();
    traffic.flows(ACKS).await;
    wanderer.received(seen + 1).await;
    wanderer.leave().await;
    let options = deployment.client_options(&[0], "joe");
    let healed = async {
        traffic.flows(ACKS).await;
        cluster.heal();
    };
    let (rejoined, ()) = tokio::join!(wanderer.rejoin(options), healed);
    rejoined.expect("a server that is behind says that it cannot tell yet");
    wanderer.received(seen + 2).await;
    // What it has seen is judged with the rest.
    wanderer.leave().await;
    wanderer
        .rejoin(deployment.client_options(&[1], "joe"))
        .await
        .expect("the majority takes it back");
    wanderer
}
