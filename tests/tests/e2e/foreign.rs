//! Some other program has stored messages whose headers are no text: nobody stops for
//! them, and everybody is given what can be read of them.

use client::replay::{ReplayItem, ReplayRequest};
use futures_util::StreamExt;
use harness::instance::get;
use harness::{Deployment, FunctionChoice, foreign, until};
use protocol::lane::Lane;
use protocol::name::{Channel, ChannelPattern};
use protocol::stream::StreamName;
use protocol::subject::{Kind, Subject};

use super::common::{EARLIEST, counter, edit, note};

/// Stores an event with a header that is no UTF-8; its sequence.
async fn store(deployment: &Deployment, kind: Kind, channel: &str, data: &[u8]) -> u64 {
    let (store, tenant) = (deployment.store_name(), &deployment.tenant);
    let channel = Channel::parse(channel).unwrap();
    let lane = Lane::of(tenant, &channel, deployment.store.lanes);
    let id = format!("eddy-id: {tenant}/tool/c/{}", rand::random::<u32>());
    let mut lines: Vec<&[u8]> = vec![id.as_bytes(), b"eddy-h-name: caf\xe9", b"eddy-h-room: blue"];
    if kind == Kind::In {
        lines.push(b"eddy-gate: document-gate");
    }
    let subject = Subject::event(kind, store, lane, tenant, &channel);
    let block = foreign::block(b"NATS/1.0", &lines);
    let stored = foreign::store(
        deployment.servers.nats_url(),
        subject.as_str(),
        &block,
        data,
    );
    stored.await.unwrap()
}

/// Connections that were made to the server so far.
async fn connections(deployment: &Deployment) -> u64 {
    let address = deployment.servers.nats(|nats| Ok(nats.monitor_url())).await;
    let address = address.trim_start_matches("http://").parse().unwrap();
    let text = get(address, "/varz").await.unwrap();
    let (_, rest) = text.split_once("\"total_connections\":").unwrap();
    let digits: String = rest
        .trim_start()
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    digits.parse().unwrap()
}

/// Sequences of what a replay of a channel yields.
async fn replayed(deployment: &Deployment, channel: &str) -> Vec<u64> {
    let client = deployment.replay_client(0, "reader").await;
    let request = ReplayRequest::events(ChannelPattern::parse(channel).unwrap());
    let mut items = client.read(request).await.unwrap();
    let mut seqs = Vec::new();
    harness::wait::within("the replay ends", async {
        while let Some(item) = items.next().await {
            match item.unwrap() {
                ReplayItem::Event(event) => seqs.push(event.seq),
                ReplayItem::End => return,
                ReplayItem::Token(_) => {}
                other => panic!("unexpected in a snapshot: {other:?}"),
            }
        }
    })
    .await;
    seqs
}

/// Waits until both streams are mirrored up to their ends.
async fn mirrored(deployment: &Deployment) {
    let store = deployment.store_name();
    until("everything is mirrored", async || {
        for stream in [StreamName::ingress(store), StreamName::events(store)] {
            let state = deployment.bus.stream_state(&stream).await;
            let end = state.map_err(|error| error.to_string())?.last_seq;
            let status = deployment.bridges[0].view().expect("it runs").borrow();
            let shard = status.shards.get(&stream).cloned().unwrap_or_default();
            if shard.mirrored < end {
                return Err(format!("{stream} to {end}: {shard:?}"));
            }
        }
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_that_are_no_text_stop_nobody() {
    let builder = Deployment::builder()
        .functions(&[FunctionChoice::Gate])
        .edges(1);
    let Some(mut deployment) = builder.start().await else {
        return;
    };
    let live = deployment.follow(&[0], "joe", "chat.x", EARLIEST).await;
    let other = deployment.follow(&[0], "zoe", "chat.y", EARLIEST).await;
    let gated = deployment.follow(&[0], "joe", "doc.x", EARLIEST).await;
    let mut ann = deployment.writer(&[0], "ann").await;

    ann.publish("chat.x", note(1)).await.unwrap();
    let mut foreign = vec![store(&deployment, Kind::Ev, "chat.x", &note(2)).await];
    ann.publish("chat.y", note(1)).await.unwrap();
    foreign.push(store(&deployment, Kind::Ev, "chat.x", &note(3)).await);
    ann.publish("doc.x", edit(1)).await.unwrap();
    store(&deployment, Kind::In, "doc.x", &edit(2)).await;
    ann.publish("doc.x", edit(3)).await.unwrap();

    // Live, behind the gate, and beside it; the last of a channel has no successor.
    live.received(3).await;
    gated.received(3).await;
    other.received(1).await;
    let events = live.events();
    for seq in &foreign {
        let event = events.iter().find(|event| event.seq == *seq).unwrap();
        assert_eq!(event.headers["room"], "blue");
        assert!(!event.headers.contains_key("name"), "{event:?}");
    }
    let seqs: Vec<u64> = events.iter().map(|event| event.seq).collect();
    assert_eq!(live.gaps(), []);

    // History of the node, the mirror, and what is made of both.
    let late = deployment.follow(&[0], "eve", "chat.x", EARLIEST).await;
    late.received(3).await;
    assert_eq!(late.gaps(), []);
    mirrored(&deployment).await;
    assert_eq!(replayed(&deployment, "chat.x").await, seqs);
    assert!(counter(&deployment, 0, "nats_unreadable_messages_total").await > 0);

    // Who starts now meets them all.
    deployment.edges[0].restart().await;
    deployment.workers[0].restart().await;
    deployment.bridges[0].restart().await;
    let mut bob = deployment.writer(&[0], "bob").await;
    bob.publish("doc.x", edit(4)).await.unwrap();
    let anew = deployment.follow(&[0], "eve", "doc.x", EARLIEST).await;
    anew.received(4).await;
    let again = deployment.follow(&[0], "eve", "chat.x", EARLIEST).await;
    again.received(3).await;
    mirrored(&deployment).await;

    // What is known breaks nothing any more.
    let before = connections(&deployment).await;
    for n in 0..20 {
        bob.publish("chat.y", note(n + 2)).await.unwrap();
    }
    let last = deployment.follow(&[0], "zoe", "chat.x", EARLIEST).await;
    last.received(3).await;
    mirrored(&deployment).await;
    assert_eq!(connections(&deployment).await, before);
    deployment.stop().await;
}
