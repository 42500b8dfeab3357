//! A worker dies, another one begins to take its lanes over, and the server that leads
//! the bucket of claims dies in the middle of it: every lane gets one owner, and each
//! input has its outputs once.
//!
//! Owns nothing beyond the deployment.

use harness::traffic::{Traffic, channels, follow_all};
use harness::{Deployment, NatsChoice};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::frozen::frozen;
use super::lanes::lanes_go_on;

/// The bucket of the lanes' claims, as JetStream calls it.
const CLAIMS: &str = "KV_LANES";
/// Most events that get their ack before a worker dies.
const ACKS_MAX: usize = 100;

/// So many takeovers lose the leader.
pub async fn loses_the_leases(times: usize) {
    let seed = harness::seed();
    eprintln!("seed {seed}");
    let builder = Deployment::builder().seed(seed).without_mirror();
    let builder = builder.processes().nats(NatsChoice::Three).workers(2);
    let Some(mut deployment) = builder.start().await else {
        return;
    };
    let mut random = StdRng::seed_from_u64(seed);
    let channels = channels(&deployment);
    let followers = follow_all(&mut deployment, &channels).await;
    let mut traffic = Traffic::begin(&deployment, &channels).await;
    for time in 0..times {
        let (heir, owner) = (time % 2, (time + 1) % 2);
        // Everything is the other one's by the time that this one is back.
        deployment.workers[heir].stop().await;
        traffic.flows(random.random_range(1..=ACKS_MAX)).await;
        let takeover = random.random_range(1..=deployment.store.lanes);
        eprintln!("takeover {time}: frozen at number {takeover}");
        deployment.workers[heir].config.faults = format!("lane.takeover=pause@{takeover}");
        deployment.workers[heir].start().await;
        deployment.workers[owner].kill();
        one_takeover(&mut deployment, heir, &mut traffic).await;
        deployment.workers[owner].config.faults = String::new();
        deployment.workers[owner].start().await;
    }
    traffic.conclude(&mut deployment, followers).await;
}

/// The heir freezes at its switch; when it goes on, the claims have another leader.
async fn one_takeover(deployment: &mut Deployment, heir: usize, traffic: &mut Traffic) {
    let cluster = deployment.servers.cluster().clone();
    frozen(&mut deployment.workers[heir], traffic).await;
    let leader = cluster.leader(CLAIMS).await;
    cluster.kill(leader).await;
    deployment.workers[heir].resume();
    cluster.leader_but(CLAIMS, Some(leader)).await;
    lanes_go_on(deployment).await;
    cluster.restart(leader).await;
    cluster.whole().await;
}
