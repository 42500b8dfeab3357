//! The mirror: a stream that was filled before, exactly once into Kafka.

use std::sync::Arc;

use bytes::Bytes;
use harness::{Deployment, KafkaChoice};
use protocol::stream::StreamName;
use protocol::subject::Kind;
use tokio::time::Instant;

use crate::options::Options;
use crate::table::{Row, median};
use crate::{kafka, world};

/// Events of a round.
const EVENTS: usize = 100_000;
/// Channels.
const CHANNELS: usize = 64;
/// Size of an event's data, bytes.
const BYTES: usize = 256;
/// Partitions of a topic, as the harness sets them for the bridge.
const PARTITIONS: i32 = 2;

/// Events per second, from the first commit that is seen to the last.
async fn ours(deployment: &mut Deployment, events: usize, data: &Bytes) -> anyhow::Result<f64> {
    let stream = StreamName::events(&deployment.store.name);
    deployment.bridges[0].stop().await;
    let before = deployment.bus.stream_state(&stream).await?.last_seq;
    world::fill(
        deployment,
        Kind::Ev,
        &world::channels("chat", CHANNELS)?,
        events,
        data,
    )
    .await?;
    let last = deployment.bus.stream_state(&stream).await?.last_seq;
    deployment.bridges[0].start().await;
    let mut status = deployment.bridges[0]
        .view()
        .expect("it runs in this process")
        .clone();
    let mut first = None;
    let measured = async {
        loop {
            let mirrored = status
                .borrow_and_update()
                .shards
                .get(&stream)
                .map_or(0, |shard| shard.mirrored);
            match first {
                None if mirrored > before => first = Some((mirrored, Instant::now())),
                Some((begun, since)) if mirrored >= last => {
                    return Ok((mirrored - begun) as f64 / since.elapsed().as_secs_f64());
                }
                _ => {}
            }
            status.changed().await?;
        }
    };
    tokio::time::timeout(world::DEADLINE, measured).await?
}

/// Measures.
///
/// # Errors
/// The servers are not here, or events do not arrive.
pub async fn run(options: &Options) -> anyhow::Result<Vec<Row>> {
    let builder = world::builder()
        .edges(0)
        .kafka(KafkaChoice::Shared)
        .bridges(1);
    let mut deployment = world::start(builder).await?;
    let (events, data) = (options.count(EVENTS), world::text(BYTES));
    let (bootstrap, prefix) = (
        deployment.servers.kafka_bootstrap().to_owned(),
        deployment.topic_prefix().to_owned(),
    );
    let bare = Arc::new(kafka::Bare::connect(&bootstrap, &prefix, PARTITIONS).await?);
    let mut figures: [Vec<f64>; 2] = Default::default();
    for _ in 0..options.rounds() {
        figures[0].push(ours(&mut deployment, events, &data).await?);
        let (bare, data) = (Arc::clone(&bare), data.clone());
        figures[1].push(tokio::task::spawn_blocking(move || bare.produce(events, &data)).await??);
    }
    deployment.stop().await;
    let [ours, bare] = figures.map(median);
    Ok(vec![Row {
        what: format!("mirror of a stream into Kafka, {BYTES} B, exactly once"),
        unit: "events/s",
        ours,
        bare: Some(bare),
        note: format!(
            "{events} events, read from JetStream, with all headers, from the first commit to the last; yardstick: librdkafka, \
             transactions of 10,000 records of the same data without headers; target: at least 0.75"
        ),
    }])
}
