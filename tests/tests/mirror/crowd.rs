//! Hundreds of topics that are new at once.

use harness::KafkaChoice;
use protocol::name::Tenant;

use super::common::{self, alone, mirrored, notes, store};

/// Events on a topic that is known, so that a transaction is open.
const BUSY: u64 = 3_000;
/// Tenants of which each has one event: making their topics one after the other takes
/// longer than a transaction may live.
const TENANTS: usize = 400;

/// The value of a counter of this process.
fn counter(name: &str) -> f64 {
    let text = service::telemetry::metrics_handle().render();
    let values = text.lines().filter(|line| line.starts_with(name));
    values
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hundreds_of_new_topics_do_not_stop_the_mirror() {
    let builder = alone().kafka(KafkaChoice::Own);
    let Some(mut deployment) = builder.start().await else {
        return;
    };
    let first = notes(&deployment, "chat.a", 1).await;
    mirrored(&deployment, first).await;
    deployment.bridges[0].stop().await;
    let (fenced, restarts) = (
        counter("mirror_fenced_total"),
        counter("mirror_restarts_total"),
    );
    notes(&deployment, "chat.a", BUSY).await;
    let mut last = 0;
    for n in 0..TENANTS {
        let tenant = Tenant::parse(&format!("tenant{n}")).unwrap();
        last = store(&deployment, &tenant, "chat.a", "1".into()).await;
    }
    deployment.bridges[0].start().await;
    mirrored(&deployment, last).await;
    assert_eq!(counter("mirror_fenced_total"), fenced);
    assert_eq!(counter("mirror_restarts_total"), restarts);
    let records = common::read(&deployment).await.records;
    assert_eq!(records.len(), 1 + BUSY as usize + TENANTS);
    deployment.stop().await;
}
