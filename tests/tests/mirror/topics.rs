//! The settings of topics that exactness rests on: set whatever the brokers' defaults
//! are, and compared while the mirror runs.

use harness::until;

use super::common::{self, alone, broken, mirrored, notes, own, sequences, set, topic};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_with_other_settings_stops_itself_until_they_are_back() {
    let Some(mut deployment) = alone().start().await else {
        return;
    };
    let first = notes(&deployment, "chat.a", 2).await;
    mirrored(&deployment, first).await;
    let chat = topic(&deployment, "chat");
    let settings = own(&deployment, &chat).await;
    let has = |name: &str, value: &str| settings.contains(&(name.to_owned(), value.to_owned()));
    assert!(has("cleanup.policy", "delete") && has("retention.bytes", "-1"));
    assert!(has("unclean.leader.election.enable", "false"));

    let mut other = settings.clone();
    other.retain(|(name, _)| name != "cleanup.policy");
    other.push(("cleanup.policy".into(), "compact".into()));
    set(&deployment, &chat, &other).await;
    let why = broken(&deployment, &chat).await;
    assert!(
        why.contains(&chat) && why.contains("cleanup.policy = compact, the mirror needs delete"),
        "{why}"
    );
    let missed = notes(&deployment, "chat.a", 2).await;
    let given = notes(&deployment, "doc.a", 2).await;
    mirrored(&deployment, given).await;

    set(&deployment, &chat, &settings).await;
    until("it is written again", async || {
        let shard = common::shard(&deployment);
        if shard.broken.is_empty() {
            Ok(())
        } else {
            Err(format!("{shard:?}"))
        }
    })
    .await;
    let again = notes(&deployment, "chat.a", 1).await;
    mirrored(&deployment, again).await;
    assert_eq!(
        sequences(&deployment, &chat).await,
        [first - 1, first, again]
    );
    let passed = common::read(&deployment).await.passed;
    assert_eq!(passed.len(), 1, "{passed:?}");
    assert_eq!((passed[0].from, passed[0].to), (missed - 1, missed));
    deployment.stop().await;
}
