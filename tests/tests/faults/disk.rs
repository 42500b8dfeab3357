//! The disk under one of three servers is full while events flow, and has room again:
//! the others go on, nothing that was acknowledged is lost, and the server is whole
//! again once it was restarted.
//!
//! Owns nothing beyond the deployment.

use harness::traffic::{Traffic, channels, follow_all};
use harness::{Deployment, NatsChoice};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// The server whose disk it is.
const FULL: usize = 0;
/// Its disk: room for what three streams set aside, twice.
const DISK_BYTES: u64 = 192 << 20;
/// Most bytes of each stream.
const STREAM_BYTES: u64 = 16 << 20;
/// Most bytes of the logs of functions: this test has none.
const LOGS_BYTES: u64 = 1 << 20;
/// Most events that get their ack before the disk is full.
const ACKS_MAX: usize = 100;
/// Events that get their ack while it is.
const ACKS_MEANWHILE: usize = 150;
/// Streams of which the server with the full disk may be the leader.
const STREAMS: [&str; 2] = ["EVENTS-main", "INGRESS-main"];

/// The disk is full so many times, the first time under the leader of EVENTS.
pub async fn is_full(times: usize) {
    let seed = harness::seed();
    eprintln!("seed {seed}");
    let builder = Deployment::builder().seed(seed).without_mirror();
    let builder = builder.nats(NatsChoice::OnSmallDisk { bytes: DISK_BYTES });
    let builder = builder.store(|store| {
        (store.max_bytes, store.logs_max_bytes) = (STREAM_BYTES, LOGS_BYTES);
    });
    let Some(mut deployment) = builder.start().await else {
        return;
    };
    let cluster = deployment.servers.cluster().clone();
    let disk = cluster.disk().expect("the test asked for one");
    let mut random = StdRng::seed_from_u64(seed);
    let channels = channels(&deployment);
    let followers = follow_all(&mut deployment, &channels).await;
    let mut traffic = Traffic::begin(&deployment, &channels).await;
    for time in 0..times {
        if time == 0 || random.random() {
            let stream = STREAMS[time % STREAMS.len()];
            cluster.lead(stream, FULL).await;
        }
        traffic.flows(random.random_range(1..=ACKS_MAX)).await;
        disk.fill();
        traffic.flows(ACKS_MEANWHILE).await;
        disk.free();
        // A server that could not write has turned JetStream off until then.
        cluster.restart(FULL).await;
        cluster.whole().await;
    }
    traffic.conclude(&mut deployment, followers).await;
}
