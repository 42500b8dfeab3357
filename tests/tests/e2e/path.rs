//! The whole path: published on one edge node, through the gate, delivered by another,
//! mirrored, replayed; in JSON and in MessagePack.

use std::collections::BTreeMap;

use checker::{Kind, Stored};
use client::replay::{ReplayItem, ReplayRequest};
use futures_util::StreamExt;
use harness::{Deployment, body_hash};
use protocol::frame::Encoding;
use protocol::name::ChannelPattern;

use super::common::{EARLIEST, edit, note};

/// Events of each writer.
const EVENTS: u64 = 40;

/// Body hashes by sequence of what a replay yields.
async fn replay(deployment: &Deployment, request: ReplayRequest) -> BTreeMap<u64, u64> {
    let client = deployment.replay_client(0, "reader").await;
    let mut items = client.read(request).await.unwrap();
    let mut found = BTreeMap::new();
    let mut ended = false;
    let all = async {
        while let Some(item) = items.next().await {
            match item.unwrap() {
                ReplayItem::Event(event) => {
                    let twice = found.insert(event.seq, body_hash(&event.payload));
                    assert_eq!(twice, None, "{} came twice", event.seq);
                }
                ReplayItem::End => ended = true,
                ReplayItem::Token(_) => {}
                other => panic!("unexpected in a snapshot: {other:?}"),
            }
        }
    };
    harness::wait::within("the replay ends", all).await;
    assert!(ended);
    found
}

fn stored_on(stored: &[Stored], kind: &Kind, prefix: &str) -> BTreeMap<u64, u64> {
    let wanted = stored
        .iter()
        .filter(|s| s.kind == *kind && s.channel.starts_with(prefix));
    wanted.map(|stored| (stored.seq, stored.body)).collect()
}

fn pattern(text: &str) -> ChannelPattern {
    ChannelPattern::parse(text).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_a_writer_through_every_part_to_a_replay() {
    let Some(mut deployment) = Deployment::builder().start().await else {
        return;
    };
    let mut msgpack = deployment.client_options(&[0], "mia");
    msgpack.encoding = Encoding::Msgpack;
    let json = deployment.follow(&[1], "joe", "doc.shared", EARLIEST).await;
    let packed = deployment
        .follow_with(msgpack, "doc.shared", EARLIEST)
        .await;
    let stats = deployment
        .follow(&[0], "joe", "stats.shared", EARLIEST)
        .await;
    let chat = deployment
        .follow(&[1], "joe", "chat.shared", EARLIEST)
        .await;
    let mut ann = deployment.writer(&[0], "ann").await;
    let mut options = deployment.client_options(&[1], "bob@example.org");
    options.encoding = Encoding::Msgpack;
    let mut bob = deployment.writer_with(options, "bob@example.org").await;

    for n in 0..EVENTS {
        ann.start("doc.shared", edit(n)).await.unwrap();
        bob.start("doc.shared", edit(EVENTS + n)).await.unwrap();
        bob.start("chat.shared", note(n)).await.unwrap();
    }
    assert_eq!(ann.settle_all().await as u64, EVENTS);
    assert_eq!(bob.settle_all().await as u64, 2 * EVENTS);
    deployment.settle().await;

    for follower in [&json, &packed, &stats] {
        assert_eq!(
            follower.count() as u64,
            2 * EVENTS,
            "{}",
            follower.view().channel()
        );
    }
    assert_eq!(chat.count() as u64, EVENTS);
    let stored = deployment.stored().await;
    let events = replay(&deployment, ReplayRequest::events(pattern("doc.>"))).await;
    assert_eq!(events, stored_on(&stored, &Kind::Ev, "acme/doc."));
    let raw = replay(&deployment, ReplayRequest::ingress(pattern("doc.>"))).await;
    assert_eq!(raw, stored_on(&stored, &Kind::In, "acme/doc."));

    let report = deployment.check().await;
    assert_eq!(report.counts.deliveries_owed, 7 * EVENTS);
    assert!(report.counts.inputs_judged >= 4 * EVENTS && report.counts.mirror_owed >= 7 * EVENTS);
    deployment.stop().await;
}
