//! Hundreds of topics that are new at once.

use harness::KafkaChoice;
use protocol::name::{StoreName, Tenant};
use protocol::stream::StreamName;

use super::common::{self, alone, mirrored, notes, store};

/// Events on a topic that is known, so that a transaction is open.
const BUSY: u64 = 3_000;
/// Tenants of which each has one event: making their topics one after the other takes
/// longer than a transaction may live.
const TENANTS: usize = 400;

/// The store, named so that no other test of this process counts for it.
fn store_name() -> StoreName {
    StoreName::parse("crowd").unwrap()
}

/// The value of a counter of EVENTS, with this in its labels.
fn counter(name: &str, label: &str) -> f64 {
    let text = service::telemetry::metrics_handle().render();
    let stream = format!("stream=\"{}\"", StreamName::events(&store_name()));
    let lines = text.lines().filter(|line| line.starts_with(name));
    let values = lines.filter(|line| line.contains(&stream) && line.contains(label));
    values
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hundreds_of_new_topics_do_not_stop_the_mirror() {
    let builder = alone().kafka(KafkaChoice::Own).may_use(store_name());
    let builder = builder.store(|settings| settings.name = store_name());
    let Some(mut deployment) = builder.start().await else {
        return;
    };
    let first = notes(&deployment, "chat.a", 1).await;
    mirrored(&deployment, first).await;
    deployment.bridges[0].stop().await;
    notes(&deployment, "chat.a", BUSY).await;
    let mut last = 0;
    for n in 0..TENANTS {
        let tenant = Tenant::parse(&format!("tenant{n}")).unwrap();
        last = store(&deployment, &tenant, "chat.a", "1".into()).await;
    }
    deployment.bridges[0].start().await;
    mirrored(&deployment, last).await;
    // Kafka may be too slow to make them all at once; nothing else may fail.
    let restarts = |label| counter("mirror_restarts_total", label);
    assert_eq!(counter("mirror_fenced_total", ""), 0.0);
    assert_eq!(restarts(""), restarts(r#"failed="topics""#));
    let records = common::read(&deployment).await.records;
    assert_eq!(records.len(), 1 + BUSY as usize + TENANTS);
    deployment.stop().await;
}
