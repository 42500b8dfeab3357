//! The server that leads a stream is killed under traffic: another one leads, nothing
//! that was acknowledged is lost, and the dead one comes back.
//!
//! Owns nothing beyond the deployment.

use harness::traffic::{Traffic, channels, follow_all};
use harness::{Deployment, NatsChoice};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Streams whose leaders die.
const STREAMS: [&str; 3] = ["EVENTS-main", "INGRESS-main", "KV_CONFIG"];
/// Most events that get their ack between two kills.
const ACKS_MAX: usize = 200;
/// Events that get their ack while one server is missing.
const ACKS_BY_TWO: usize = 50;

/// So many leaders die, the first one that of EVENTS.
pub async fn die(kills: usize) {
    let seed = harness::seed();
    eprintln!("seed {seed}");
    let builder = Deployment::builder().seed(seed).without_mirror();
    let Some(mut deployment) = builder.nats(NatsChoice::Three).start().await else {
        return;
    };
    let cluster = deployment.servers.cluster().clone();
    let mut random = StdRng::seed_from_u64(seed);
    let channels = channels(&deployment);
    let followers = follow_all(&mut deployment, &channels).await;
    let mut traffic = Traffic::begin(&deployment, &channels).await;
    for kill in 0..kills {
        traffic.flows(random.random_range(1..=ACKS_MAX)).await;
        let stream = match kill {
            0 => STREAMS[0],
            _ => STREAMS[random.random_range(0..STREAMS.len())],
        };
        let leader = cluster.leader(stream).await;
        eprintln!("kill {kill}: server {leader} leads {stream}");
        cluster.kill(leader).await;
        cluster.leader_but(stream, Some(leader)).await;
        traffic.flows(ACKS_BY_TWO).await;
        cluster.restart(leader).await;
        cluster.whole().await;
    }
    traffic.conclude(&mut deployment, followers).await;
}
