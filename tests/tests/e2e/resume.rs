//! Leaving and coming back on another node: after thousands of missed events, after
//! retention has passed, and with a position of something else.

use client::{Client, Start};
use harness::{Deployment, until};
use protocol::error_code::ErrorCode;
use protocol::position::{Epoch, Position};

use super::common::{EARLIEST, note, refusal, removed, short_lived};

/// What is missed.
const MISSED: u64 = 10_000;
/// Events before and after.
const AROUND: u64 = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_missed_events_come_on_the_other_node() {
    let Some(mut deployment) = Deployment::builder().start().await else {
        return;
    };
    let mut leaver = deployment.follow(&[0], "joe", "chat.a", EARLIEST).await;
    let stayer = deployment.follow(&[1], "eve", "chat.a", EARLIEST).await;
    let mut ann = deployment.writer(&[0], "ann").await;
    let mut bob = deployment.writer(&[1], "bob").await;
    for n in 0..AROUND {
        ann.start("chat.a", note(n)).await.unwrap();
    }
    ann.settle_all().await;
    leaver.received(AROUND as usize).await;
    let position = leaver.leave().await;
    assert!(position.time.is_some());
    for n in 0..MISSED / 2 {
        ann.start("chat.a", note(n)).await.unwrap();
        bob.start("chat.a", note(n)).await.unwrap();
    }
    ann.settle_all().await;
    bob.settle_all().await;
    let caught_up = leaver.caught_up();
    // Others go on while it catches up.
    for n in 0..AROUND {
        bob.start("chat.a", note(n)).await.unwrap();
    }
    leaver
        .rejoin(deployment.client_options(&[1], "joe"))
        .await
        .unwrap();
    bob.settle_all().await;
    let all = (MISSED + 2 * AROUND) as usize;
    leaver.received(all).await;
    stayer.received(all).await;
    // The last event may come before the word that it was the last.
    until("it is told that it has caught up", async || {
        match leaver.caught_up() {
            told if told > caught_up => Ok(()),
            told => Err(format!("{told} times, as before")),
        }
    })
    .await;
    let report = deployment.check().await;
    assert_eq!(report.counts.deliveries_owed, 2 * all as u64);
    assert_eq!(leaver.client().unwrap().stats().breaks, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_retention_took_is_announced_as_a_gap() {
    let Some(mut deployment) = short_lived().start().await else {
        return;
    };
    let mut follower = deployment.follow(&[0], "joe", "chat.a", EARLIEST).await;
    let mut ann = deployment.writer(&[0], "ann").await;
    ann.publish("chat.a", note(0)).await.unwrap();
    follower.received(1).await;
    let position = follower.leave().await;
    let mut last = 0;
    for n in 1..=5 {
        last = ann.publish("chat.a", note(n)).await.unwrap().position.seq;
    }
    removed(&deployment, last).await;
    follower
        .rejoin(deployment.client_options(&[1], "joe"))
        .await
        .unwrap();
    follower.reached(last).await;
    assert_eq!(
        follower.gaps().first().map(|gap| gap.0),
        Some(position.seq + 1)
    );
    assert!(follower.gaps().iter().any(|gap| gap.1 >= last));
    ann.publish("chat.a", note(6)).await.unwrap();
    follower.received(2).await;
    deployment.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_position_of_something_else_is_refused() {
    let Some(mut deployment) = Deployment::builder()
        .without_mirror()
        .functions(&[])
        .workers(0)
        .start()
        .await
    else {
        return;
    };
    let follower = deployment.follow(&[0], "joe", "chat.a", EARLIEST).await;
    let mut ann = deployment.writer(&[0], "ann").await;
    for n in 0..3 {
        ann.publish("chat.a", note(n)).await.unwrap();
    }
    follower.received(3).await;
    let right = follower.position();
    let wrong = [
        (
            ErrorCode::PositionMismatch,
            Position {
                epoch: Epoch::from_random(7),
                ..right.clone()
            },
        ),
        (
            ErrorCode::PositionMismatch,
            Position {
                time: right.time.map(|time| time + 1),
                ..right.clone()
            },
        ),
        (
            ErrorCode::PositionAhead,
            Position {
                seq: right.seq + 1_000,
                time: None,
                ..right.clone()
            },
        ),
    ];
    for (code, position) in wrong {
        let client = Client::connect(deployment.client_options(&[1], "eve"))
            .await
            .unwrap();
        let refused = client.subscribe("chat.a", Start::After(position)).await;
        assert_eq!(refusal(refused.map(|_| ())), code);
    }
    let client = Client::connect(deployment.client_options(&[1], "eve"))
        .await
        .unwrap();
    let subscription = client
        .subscribe("chat.a", Start::After(right.clone()))
        .await
        .unwrap();
    assert_eq!(subscription.subscribed().after, right.seq);
    deployment.check().await;
}
