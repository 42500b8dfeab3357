//! Deliveries that are lost inside a node, at random and at the end of a burst: every
//! subscriber ends complete, on its one connection, without doing anything itself.

use harness::{Deployment, Follower};

use super::common::{EARLIEST, counter, edit, note};

/// Events of each burst.
const BURST: u64 = 100;
/// Bursts; between two of them a channel is quiet.
const BURSTS: u64 = 3;

fn assert_untroubled(follower: &Follower) {
    let stats = follower.client().unwrap().stats();
    assert_eq!(
        (stats.reconnects, stats.breaks),
        (0, 0),
        "{}: the node repairs, not the client",
        follower.view().name()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_random() {
    let seed = harness::seed();
    let builder = Deployment::builder()
        .seed(seed)
        .processes()
        .edge_config(move |index, config| {
            config.faults = format!("edge.drop_delivery=skip%20/{}", (seed >> 1) + index as u64);
        });
    let Some(mut deployment) = builder.start().await else {
        return;
    };
    let mut followers = Vec::new();
    for (edge, channel) in [
        (0, "doc.a"),
        (1, "doc.a"),
        (1, "doc.b"),
        (0, "chat.a"),
        (1, "chat.a"),
        (0, "stats.a"),
    ] {
        followers.push(deployment.follow(&[edge], "joe", channel, EARLIEST).await);
    }
    let mut ann = deployment.writer(&[0], "ann").await;
    let mut bob = deployment.writer(&[1], "bob").await;
    for burst in 1..=BURSTS {
        for n in 0..BURST {
            ann.start("doc.a", edit(n)).await.unwrap();
            bob.start("doc.b", edit(n)).await.unwrap();
            bob.start("chat.a", note(n)).await.unwrap();
        }
        ann.settle_all().await;
        bob.settle_all().await;
        for follower in &followers {
            follower.received((burst * BURST) as usize).await;
        }
    }
    let report = deployment.check().await;
    assert_eq!(report.counts.deliveries_owed, 6 * BURSTS * BURST);
    followers.iter().for_each(assert_untroubled);
    for edge in [0, 1] {
        let repaired = counter(&deployment, edge, "edge_repaired_events_total").await;
        assert!(
            repaired > BURST / 10,
            "edge {edge} repaired {repaired} of a fifth"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_of_a_burst() {
    // Only the second node delivers, so that its count is that of the channel.
    let builder = Deployment::builder()
        .processes()
        .without_mirror()
        .functions(&[])
        .workers(0)
        .edge_config(|index, config| {
            if index == 1 {
                config.faults = format!("edge.drop_delivery=skip@{BURST}");
            }
        });
    let Some(mut deployment) = builder.start().await else {
        return;
    };
    let follower = deployment.follow(&[1], "joe", "chat.a", EARLIEST).await;
    let mut ann = deployment.writer(&[0], "ann").await;
    for n in 0..BURST {
        ann.start("chat.a", note(n)).await.unwrap();
    }
    ann.settle_all().await;
    // Nothing follows that could show the loss.
    follower.received(BURST as usize).await;
    let report = deployment.check().await;
    assert_eq!(report.counts.deliveries_owed, BURST);
    assert_untroubled(&follower);
    let found = counter(&deployment, 1, "edge_probe_findings_total").await;
    // It also finds what is late on a busy machine and would have come.
    assert!(found >= 1, "the probe finds what nothing else shows");
}
