//! What the mirror does when somebody takes away what it stands on: it stops and says
//! so, and writes nothing twice.

use std::time::Duration;

use bridge::status::ShardState;
use harness::collect::mirror;
use harness::{Deployment, until};
use protocol::record;
use protocol::stream::StreamName;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;

use super::common::note;

/// Events that are mirrored before.
const EVENTS: u64 = 50;
/// How long Kafka may take over a change of a topic.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(20);
/// Partitions of the events' topic.
const PARTITIONS: i32 = 2;

/// A deployment whose mirror has everything and is stopped.
async fn mirrored() -> Option<Deployment> {
    let mut deployment = Deployment::builder()
        .functions(&[])
        .workers(0)
        .start()
        .await?;
    let mut writer = deployment.writer(&[0], "ann").await;
    for n in 0..EVENTS {
        writer.start("chat.a", note(n)).await.unwrap();
    }
    writer.settle_all().await;
    deployment.settle().await;
    deployment.bridges[0].stop().await;
    Some(deployment)
}

fn admin(deployment: &Deployment) -> AdminClient<DefaultClientContext> {
    ClientConfig::new()
        .set("bootstrap.servers", deployment.servers.kafka_bootstrap())
        .create()
        .unwrap()
}

async fn delete(deployment: &Deployment, topic: &str) {
    let options = AdminOptions::new().operation_timeout(Some(OPERATION_TIMEOUT));
    let deleted = admin(deployment).delete_topics(&[topic], &options).await;
    assert!(deleted.unwrap().iter().all(Result::is_ok));
}

/// Makes a topic as soon as Kafka has done with the deleted one of its name.
async fn make(deployment: &Deployment, topic: &str) {
    let (admin, options) = (admin(deployment), AdminOptions::new());
    until("the topic is made anew", async || {
        let new = NewTopic::new(topic, PARTITIONS, TopicReplication::Fixed(1));
        let made = admin.create_topics([&new], &options).await;
        let made = made.map_err(|error| error.to_string())?;
        made.into_iter()
            .find_map(Result::err)
            .map_or(Ok(()), |(_, code)| Err(code.to_string()))
    })
    .await;
}

/// Waits until the shard of EVENTS has stopped for somebody to look.
async fn halts(deployment: &mut Deployment) {
    let stream = StreamName::events(deployment.store_name());
    deployment.bridges[0].start().await;
    let mut status = deployment.bridges[0].view().unwrap().clone();
    let halted = status.wait_for(|status| {
        let shard = status.shards.get(&stream);
        shard.is_some_and(|shard| shard.state == ShardState::Halted)
    });
    harness::wait::within("the shard halts", halted)
        .await
        .unwrap();
}

/// Records of the mirror that any reader sees.
async fn records(deployment: &Deployment) -> usize {
    let bootstrap = deployment.servers.kafka_bootstrap().to_owned();
    let prefix = deployment.topic_prefix().to_owned();
    let read = tokio::task::spawn_blocking(move || mirror::read(&bootstrap, &prefix));
    read.await.unwrap().unwrap().records.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_progress_it_writes_nothing_twice() {
    let Some(mut deployment) = mirrored().await else {
        return;
    };
    let progress = record::progress_topic(deployment.topic_prefix());
    delete(&deployment, &progress).await;
    halts(&mut deployment).await;
    assert_eq!(records(&deployment).await, EVENTS as usize);
    deployment.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_was_made_anew_is_not_taken_for_the_old_one() {
    let Some(mut deployment) = mirrored().await else {
        return;
    };
    let topic = format!(
        "{}.ev.{}.chat",
        deployment.topic_prefix(),
        deployment.tenant
    );
    delete(&deployment, &topic).await;
    make(&deployment, &topic).await;
    halts(&mut deployment).await;
    assert_eq!(records(&deployment).await, 0);
    deployment.stop().await;
}
