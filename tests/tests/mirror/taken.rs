//! What the mirror does when somebody takes away what it stands on: it says so,
//! writes nothing twice, and goes on with what is whole.

use bridge::status::ShardState;
use harness::Deployment;
use protocol::record;
use protocol::stream::StreamName;

use super::common::{
    self, alone, broken, delete, make, mirrored, notes, own, sequences, set, topic,
};

/// Events that are mirrored before.
const EVENTS: u64 = 50;

/// A deployment whose mirror has everything and is stopped.
async fn stopped() -> Option<Deployment> {
    let mut deployment = alone().start().await?;
    let last = notes(&deployment, "chat.a", EVENTS).await;
    mirrored(&deployment, last).await;
    deployment.bridges[0].stop().await;
    Some(deployment)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_progress_it_writes_nothing_twice() {
    let Some(mut deployment) = stopped().await else {
        return;
    };
    let progress = record::progress_topic(deployment.topic_prefix());
    delete(&deployment, &progress).await;
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
    assert!(status.borrow().waiting()[0].contains("progress is lost"));
    assert_eq!(common::read(&deployment).await.records.len() as u64, EVENTS);
    deployment.stop().await;
}

/// While the bridge was away, one topic was deleted and made anew: it alone is passed
/// over, and what it has lost and misses is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_was_made_anew_stops_itself() {
    let Some(mut deployment) = stopped().await else {
        return;
    };
    let chat = topic(&deployment, "chat");
    delete(&deployment, &chat).await;
    make(&deployment, &chat).await;
    deployment.bridges[0].start().await;
    assert!(broken(&deployment, &chat).await.contains("made anew"));

    let missed = notes(&deployment, "chat.a", 3).await;
    let given = notes(&deployment, "doc.a", 3).await;
    mirrored(&deployment, given).await;
    assert_eq!(sequences(&deployment, &chat).await, [0u64; 0]);
    let doc = topic(&deployment, "doc");
    assert_eq!(sequences(&deployment, &doc).await.len(), 3);
    let passed = common::read(&deployment).await.passed;
    let gap = passed.iter().find(|gap| gap.topic.as_ref() == Some(&chat));
    let gap = gap.expect("the gap is recorded");
    assert_eq!((gap.from, gap.to), (1, missed));
    deployment.stop().await;
}

/// As above, while the bridge runs: it is noticed without a restart, and the new topic
/// is not taken for the old one after one either.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_made_anew_is_noticed_while_the_mirror_runs() {
    let Some(mut deployment) = alone().start().await else {
        return;
    };
    let last = notes(&deployment, "chat.a", EVENTS).await;
    mirrored(&deployment, last).await;
    let chat = topic(&deployment, "chat");
    let settings = own(&deployment, &chat).await;
    delete(&deployment, &chat).await;
    make(&deployment, &chat).await;
    set(&deployment, &chat, &settings).await;
    harness::until("it is noticed", async || {
        let shard = common::shard(&deployment);
        let found = shard
            .broken
            .get(&chat)
            .filter(|why| why.contains("made anew"));
        found.map(|_| ()).ok_or(format!("{shard:?}"))
    })
    .await;
    let given = notes(&deployment, "doc.a", 3).await;
    mirrored(&deployment, given).await;
    deployment.bridges[0].stop().await;

    deployment.bridges[0].config.on_broken_topic = bridge::config::OnBrokenTopic::Adopt;
    deployment.bridges[0].start().await;
    let adopted = notes(&deployment, "chat.a", 1).await;
    mirrored(&deployment, adopted).await;
    assert_eq!(sequences(&deployment, &chat).await, [adopted]);
    let gap = common::read(&deployment).await.passed;
    let gap = gap.iter().find(|gap| gap.topic.as_ref() == Some(&chat));
    assert!(gap.is_some_and(|gap| gap.from == 1 && gap.to < adopted));
    deployment.stop().await;
}
