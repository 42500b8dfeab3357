//! SIGKILLs of NATS and of Kafka in mid-traffic, each started again on its port and
//! data: what was acknowledged is there, once, and the mirror is exact.
//!
//! Owns nothing beyond the deployment.

use harness::KafkaChoice;
use harness::traffic::{Traffic, channels, follow_all};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::hunt::forgetful;

/// Kills of NATS.
const NATS_KILLS: usize = 6;
/// Kafka dies after one in so many of them: it takes seconds to come back.
const KAFKA_EVERY: usize = 3;
/// Most events that get their ack between two kills.
const ACKS_MAX: usize = 200;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_nats_and_kafka() {
    let seed = harness::seed();
    eprintln!("seed {seed}");
    let builder = forgetful().seed(seed).kafka(KafkaChoice::Own);
    let Some(mut deployment) = builder.workers(2).start().await else {
        return;
    };
    let mut random = StdRng::seed_from_u64(seed);
    let channels = channels(&deployment);
    let followers = follow_all(&mut deployment, &channels).await;
    let mut traffic = Traffic::begin(&deployment, &channels).await;
    for kill in 0..NATS_KILLS {
        traffic.flows(random.random_range(1..=ACKS_MAX)).await;
        let servers = deployment.servers.clone();
        servers
            .nats(|nats| nats.kill().and_then(|()| nats.restart()))
            .await;
        if kill % KAFKA_EVERY == 0 {
            servers
                .kafka(|kafka| kafka.kill().and_then(|()| kafka.restart()))
                .await;
        }
    }
    let report = traffic.conclude(&mut deployment, followers).await;
    assert!(report.counts.mirror_owed > 0, "{report}");
}
