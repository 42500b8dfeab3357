//! What several tests of the mirror do: store events, change topics, look at the
//! mirror.

use std::time::Duration;

use bridge::status::ShardStatus;
use bytes::Bytes;
use harness::collect::mirror::{self, Mirror};
use harness::{Builder, Deployment, until};
use protocol::bus::Outgoing;
use protocol::header::{self, Headers};
use protocol::lane::Lane;
use protocol::name::{Channel, Tenant};
use protocol::stream::StreamName;
use protocol::subject::{Kind, Subject};
use rdkafka::ClientConfig;
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, ConfigSource, NewTopic, ResourceSpecifier,
    TopicReplication,
};
use rdkafka::client::DefaultClientContext;

/// How long Kafka may take over a change of a topic.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(20);
/// Partitions of an event topic in tests.
pub const PARTITIONS: i32 = 2;

/// A store and a bridge; events come from the test itself.
pub fn alone() -> Builder {
    Deployment::builder().functions(&[]).edges(0).workers(0)
}

/// Stores an event on a channel of any tenant; its sequence.
pub async fn store(deployment: &Deployment, tenant: &Tenant, channel: &str, data: Bytes) -> u64 {
    let channel = Channel::parse(channel).unwrap();
    let lane = Lane::of(tenant, &channel, deployment.store.lanes);
    let mut headers = Headers::new();
    headers.push(
        header::ID,
        format!("{tenant}/ann/c/{}", rand::random::<u32>()),
    );
    let event = Outgoing {
        subject: Subject::event(Kind::Ev, deployment.store_name(), lane, tenant, &channel),
        headers,
        payload: data,
        msg_id: None,
        expect: None,
    };
    deployment.bus.publish(event).await.unwrap().seq
}

/// Stores so many notes on a channel; the last one's sequence.
pub async fn notes(deployment: &Deployment, channel: &str, count: u64) -> u64 {
    let mut last = 0;
    for n in 0..count {
        let data = format!(r#"{{"note":{n}}}"#).into();
        last = store(deployment, &deployment.tenant, channel, data).await;
    }
    last
}

/// The topic of a namespace of the deployment's tenant.
pub fn topic(deployment: &Deployment, namespace: &str) -> String {
    let (prefix, tenant) = (deployment.topic_prefix(), &deployment.tenant);
    format!("{prefix}.ev.{tenant}.{namespace}")
}

/// What the first bridge says of EVENTS.
pub fn shard(deployment: &Deployment) -> ShardStatus {
    let stream = StreamName::events(deployment.store_name());
    let status = deployment.bridges[0].view().expect("it runs").borrow();
    status.shards.get(&stream).cloned().unwrap_or_default()
}

/// Waits until everything up to a sequence is mirrored, or recorded as a gap.
pub async fn mirrored(deployment: &Deployment, seq: u64) {
    until("the mirror goes on", async || match shard(deployment) {
        shard if shard.mirrored >= seq => Ok(()),
        shard => Err(format!("{shard:?} of {seq}")),
    })
    .await;
}

/// Waits until a topic is passed over; why.
pub async fn broken(deployment: &Deployment, topic: &str) -> String {
    until("the topic is passed over", async || {
        let shard = shard(deployment);
        shard.broken.get(topic).cloned().ok_or(format!("{shard:?}"))
    })
    .await
}

/// Everything that any reader sees of the mirror.
pub async fn read(deployment: &Deployment) -> Mirror {
    let bootstrap = deployment.servers.kafka_bootstrap().to_owned();
    let prefix = deployment.topic_prefix().to_owned();
    let read = tokio::task::spawn_blocking(move || mirror::read(&bootstrap, &prefix));
    read.await.unwrap().unwrap()
}

/// Sequences in a topic, ascending.
pub async fn sequences(deployment: &Deployment, topic: &str) -> Vec<u64> {
    let records = read(deployment).await.records;
    let of_topic = records.into_iter().filter(|record| record.topic == topic);
    let mut sequences: Vec<u64> = of_topic.map(|record| record.seq).collect();
    sequences.sort_unstable();
    sequences
}

pub fn admin(deployment: &Deployment) -> AdminClient<DefaultClientContext> {
    ClientConfig::new()
        .set("bootstrap.servers", deployment.servers.kafka_bootstrap())
        .create()
        .unwrap()
}

pub async fn delete(deployment: &Deployment, topic: &str) {
    let options = AdminOptions::new().operation_timeout(Some(OPERATION_TIMEOUT));
    let deleted = admin(deployment).delete_topics(&[topic], &options).await;
    assert!(deleted.unwrap().iter().all(Result::is_ok));
}

/// Makes a topic as soon as Kafka has done with the deleted one of its name.
pub async fn make(deployment: &Deployment, topic: &str) {
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

/// Gives a topic these settings of its own, and no others.
pub async fn set(deployment: &Deployment, topic: &str, settings: &[(String, String)]) {
    let mut change = AlterConfig::new(ResourceSpecifier::Topic(topic));
    for (name, value) in settings {
        change = change.set(name, value);
    }
    let changed = admin(deployment)
        .alter_configs(&[change], &AdminOptions::new())
        .await;
    assert!(changed.unwrap().iter().all(Result::is_ok));
}

/// Settings that a topic of ours has of its own.
pub async fn own(deployment: &Deployment, topic: &str) -> Vec<(String, String)> {
    let asked = [ResourceSpecifier::Topic(topic)];
    let answers = admin(deployment)
        .describe_configs(&asked, &AdminOptions::new())
        .await;
    let answer = answers.unwrap().remove(0).unwrap();
    let own = answer
        .entries
        .into_iter()
        .filter(|entry| entry.source == ConfigSource::DynamicTopic);
    own.map(|entry| (entry.name, entry.value.unwrap_or_default()))
        .collect()
}
