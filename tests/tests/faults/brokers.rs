//! Three brokers under the mirror: those that lead die, too few are left to accept
//! anything, none can be heard. The mirror is exact each time.
//!
//! Owns nothing beyond the deployment.

use harness::traffic::{Followed, Traffic, channels};
use harness::{Brokers, Deployment, Direction, KafkaChoice, NatsChoice};
use protocol::record;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

/// Copies of each partition.
const COPIES: usize = 3;
/// The streams, each with a transactional id of its own.
const STREAMS: [&str; 2] = ["EVENTS-main", "INGRESS-main"];
/// Most events that get their ack between two faults.
const ACKS_MAX: usize = 150;

/// A deployment on three brokers, and events that flow.
struct Scene {
    deployment: Deployment,
    brokers: Brokers,
    traffic: Traffic,
    random: StdRng,
}

impl Scene {
    async fn set(controllers: usize) -> Option<Self> {
        let seed = harness::seed();
        eprintln!("seed {seed}");
        let builder = Deployment::builder().seed(seed).nats(NatsChoice::Three);
        let builder = builder.kafka(KafkaChoice::Three { controllers });
        let deployment = builder.start().await?;
        let channels = channels(&deployment);
        let brokers = deployment.servers.brokers();
        Some(Self {
            brokers: brokers.expect("the test asked for three").clone(),
            traffic: Traffic::begin(&deployment, &channels).await,
            random: StdRng::seed_from_u64(seed),
            deployment,
        })
    }

    async fn flow(&mut self) {
        let acks = self.random.random_range(1..=ACKS_MAX);
        self.traffic.flows(acks).await;
    }

    async fn conclude(mut self) {
        let mirror = Followed::ByMirror;
        self.traffic.conclude(&mut self.deployment, mirror).await;
    }
}

/// By turns, a transaction coordinator and the leader of a partition die.
pub async fn leaders_die(times: usize) {
    let Some(mut scene) = Scene::set(COPIES).await else {
        return;
    };
    for time in 0..times {
        scene.flow().await;
        let dead = match time % 2 {
            0 => coordinator_dies(&mut scene).await,
            _ => partition_leader_dies(&mut scene).await,
        };
        scene.flow().await;
        scene.brokers.restart(&[dead]).await;
        scene.brokers.in_sync(COPIES).await;
    }
    scene.conclude().await;
}

async fn coordinator_dies(scene: &mut Scene) -> usize {
    let stream = STREAMS.choose(&mut scene.random).expect("there are two");
    let id = format!("eddyline.{}.{stream}", scene.deployment.topic_prefix());
    let coordinator = scene.brokers.coordinator_but(&id, None).await;
    eprintln!("broker {coordinator} coordinates {id}");
    scene.brokers.kill(coordinator).await;
    scene.brokers.coordinator_but(&id, Some(coordinator)).await;
    coordinator
}

async fn partition_leader_dies(scene: &mut Scene) -> usize {
    let topic = record::progress_topic(scene.deployment.topic_prefix());
    let own = format!("{}.", scene.deployment.topic_prefix());
    let partitions = scene.brokers.partitions().await.expect("brokers answer");
    let ours = |topic: &str| topic.starts_with(&own);
    let partitions: Vec<_> = partitions.iter().filter(|at| ours(&at.topic)).collect();
    assert!(
        partitions.iter().any(|at| at.topic == topic),
        "{partitions:?}"
    );
    let chosen = partitions
        .choose(&mut scene.random)
        .expect("there are some");
    let leader = scene
        .brokers
        .leader_but(&chosen.topic, chosen.partition, None)
        .await;
    eprintln!("broker {leader} leads {chosen:?}");
    scene.brokers.kill(leader).await;
    let (topic, partition) = (&chosen.topic, chosen.partition);
    scene
        .brokers
        .leader_but(topic, partition, Some(leader))
        .await;
    leader
}

/// Two of three brokers die: what is left accepts nothing until they are back.
pub async fn are_too_few(times: usize) {
    let Some(mut scene) = Scene::set(1).await else {
        return;
    };
    let others = [1, 2];
    for _ in 0..times {
        scene.flow().await;
        for broker in others {
            scene.brokers.kill(broker).await;
        }
        scene.brokers.in_sync(1).await;
        scene.flow().await;
        scene.brokers.restart(&others).await;
        scene.brokers.in_sync(COPIES).await;
    }
    scene.conclude().await;
}

/// What the brokers say does not reach the bridge; what it says reaches them.
pub async fn fall_silent(times: usize) {
    let Some(mut scene) = Scene::set(COPIES).await else {
        return;
    };
    let heard = |brokers: &Brokers| -> u64 {
        let doors = (0..COPIES).map(|broker| brokers.door(broker));
        doors.map(|door| door.passed(Direction::ToClient)).sum()
    };
    assert!(
        heard(&scene.brokers) > 0,
        "the bridge comes through the doors"
    );
    for time in 0..times {
        scene.flow().await;
        let swallowed = time % 2 == 1;
        for broker in 0..COPIES {
            let door = scene.brokers.door(broker);
            match swallowed {
                true => door.swallow(&[Direction::ToClient]),
                false => door.hold(&[Direction::ToClient]),
            }
        }
        scene.flow().await;
        for broker in 0..COPIES {
            scene.brokers.door(broker).heal();
        }
    }
    scene.conclude().await;
}
