//! How far the mirror is behind is measured against the stream, whoever is away.

use harness::instance::get;
use harness::{Deployment, KafkaChoice, until};
use protocol::name::StoreName;
use protocol::stream::StreamName;

use super::common::{alone, notes};

/// Events that wait for Kafka.
const EVENTS: u64 = 20;

/// The store, named so that no other test of this process shows its lag.
fn store() -> StoreName {
    StoreName::parse("lag").unwrap()
}

/// What the bridge shows.
async fn lag(deployment: &Deployment) -> Result<u64, String> {
    let text = get(deployment.bridges[0].health(), "/metrics").await;
    let text = text.map_err(|error| error.to_string())?;
    let events = StreamName::events(deployment.store_name());
    let name = format!("mirror_lag_events{{stream=\"{events}\"}} ");
    let line = text.lines().find_map(|line| line.strip_prefix(&name));
    let value = line.ok_or("there is no lag")?.parse::<f64>();
    value
        .map(|value| value as u64)
        .map_err(|error| error.to_string())
}

async fn shows(deployment: &Deployment, wanted: u64) {
    until("the bridge shows its lag", async || {
        match lag(deployment).await? {
            lag if lag == wanted => Ok(()),
            lag => Err(format!("{lag} instead of {wanted}")),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_kafka_is_the_lag() {
    let builder = alone().kafka(KafkaChoice::Own).may_use(store());
    let builder = builder.store(|settings| settings.name = store());
    let Some(mut deployment) = builder.start().await else {
        return;
    };
    notes(&deployment, "chat.a", 1).await;
    shows(&deployment, 0).await;
    deployment.servers.kafka(|kafka| kafka.pause()).await;
    notes(&deployment, "chat.a", EVENTS).await;
    shows(&deployment, EVENTS).await;
    deployment.servers.kafka(|kafka| kafka.resume()).await;
    shows(&deployment, 0).await;
    deployment.stop().await;
}
