//! Single messages that can never be mirrored: told, counted, and no reason to stop.

use bytes::Bytes;
use protocol::record::MirrorGapReason;
use rand::RngCore;

use super::common::{self, alone, mirrored, notes, store};

/// Larger than the topics of the test take, in bytes.
const LARGE: usize = 40_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_larger_than_its_topic_takes_is_passed_over() {
    let builder = alone().bridge_config(|_, config| {
        let limit = ("max.message.bytes".to_owned(), "20000".to_owned());
        config.kafka.topic_settings.extend([limit]);
    });
    let Some(mut deployment) = builder.start().await else {
        return;
    };
    let before = notes(&deployment, "chat.a", 2).await;
    let mut data = vec![0; LARGE];
    rand::rng().fill_bytes(&mut data);
    let tenant = deployment.tenant.clone();
    let large = store(&deployment, &tenant, "chat.a", Bytes::from(data)).await;
    let after = notes(&deployment, "chat.a", 2).await;
    mirrored(&deployment, after).await;

    let mirror = common::read(&deployment).await;
    assert_eq!(mirror.records.len(), 4);
    let gap = &mirror.passed[..];
    assert_eq!(gap.len(), 1, "{gap:?}");
    assert_eq!((gap[0].from, gap[0].to), (large, large));
    assert_eq!(gap[0].reason, MirrorGapReason::TooLarge);
    assert_eq!((before + 1, large + 2), (large, after));
    deployment.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_none_of_ours_is_passed_over() {
    let Some(mut deployment) = alone().start().await else {
        return;
    };
    let before = notes(&deployment, "chat.a", 2).await;
    let nats = async_nats::connect(deployment.servers.nats_url())
        .await
        .unwrap();
    let store = deployment.store_name().clone();
    let jetstream = async_nats::jetstream::new(nats);
    let stored = jetstream
        .publish(format!("ev.{store}.nolane.acme.chat.a"), "1".into())
        .await
        .unwrap();
    let foreign = stored.await.unwrap().sequence;
    let after = notes(&deployment, "chat.a", 2).await;
    mirrored(&deployment, after).await;

    let mirror = common::read(&deployment).await;
    assert_eq!(mirror.records.len(), 4);
    assert_eq!(mirror.gaps.len(), 1, "{:?}", mirror.gaps);
    let gap = &mirror.gaps[0];
    assert_eq!((gap.from, gap.to), (foreign, foreign));
    assert_eq!((before + 1, foreign + 2), (foreign, after));
    deployment.stop().await;
}
