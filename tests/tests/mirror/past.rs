//! History that a store no longer keeps comes from the mirror, through an edge node, on
//! the connection that asked for it: the same pages, in both directions.

use std::num::NonZeroU32;

use client::replay::ReplayStart;
use client::{Client, ClientError, HeaderFilter, History, HistoryPage, Mark};
use futures_util::StreamExt;
use harness::{Deployment, wait};
use protocol::error_code::ErrorCode;
use protocol::frame::{AtSequence, AtTime, End, GapReason};

use super::common::{alone, mirrored, store, topic};
use super::replay::{forget, forgotten, short, snapshot};

/// Rounds of events: one of the channel, some of others.
const ROUNDS: u64 = 150;
const CHANNEL: &str = "chat.a";
/// Events of a page: several pages on each side of the seam.
const LIMIT: u32 = 20;
/// More pages than any history of these tests has.
const PAGES_MAX: usize = 200;

/// Events of a topic that is searched for a sequence: halved several times before it is
/// near (`NEAR` in `bridge/src/replay/search.rs`).
const MANY: u64 = 16_000;
/// Of them, stored at a time.
const AT_A_TIME: usize = 256;

/// A store with two edge nodes, of which the second knows no mirror; its first half is
/// gone. The sequences of the channel, and the last one that is gone.
async fn halved() -> Option<(Deployment, Vec<u64>, u64)> {
    let builder = short(alone().edges(2));
    let builder = builder.edge_config(|index, config| {
        if index == 1 {
            config.mirrors.clear();
        }
    });
    let deployment = builder.start().await?;
    let mut ours = Vec::new();
    let mut gone = 0;
    for (round, of_ours) in (0..2 * ROUNDS).zip([true, false].into_iter().cycle()) {
        let channel = if of_ours { CHANNEL } else { "chat.b" };
        let tenant = &deployment.tenant;
        let seq = store(&deployment, tenant, channel, format!("{round}").into()).await;
        if of_ours {
            ours.push(seq);
        }
        if round == ROUNDS {
            mirrored(&deployment, seq).await;
            forgotten(&deployment, seq).await;
            gone = seq;
        }
    }
    Some((deployment, ours, gone))
}

async fn client(deployment: &Deployment, edge: usize) -> Client {
    let options = deployment.client_options(&[edge], "reader");
    Client::connect(options).await.unwrap()
}

async fn page(client: &Client, from: Option<Mark>, backwards: bool) -> HistoryPage {
    let asked = History {
        channel: CHANNEL.into(),
        from,
        backwards,
        headers: HeaderFilter::default(),
        limit: NonZeroU32::new(LIMIT),
    };
    let page = wait::within("a page", client.history(asked)).await;
    page.unwrap()
}

/// Every page from a mark on: their sequences and gaps. They follow one another without a
/// hole, and each event but the oldest of a page names the one before it.
async fn pages(
    client: &Client,
    mut from: Option<Mark>,
    backwards: bool,
) -> (Vec<u64>, Vec<(u64, u64, GapReason)>) {
    let (mut found, mut gaps, mut edge) = (Vec::new(), Vec::new(), None);
    for _ in 0..PAGES_MAX {
        let page = page(client, from.take(), backwards).await;
        let (opens, ends) = match backwards {
            true => (page.last_seq + 1, page.first_seq),
            false => (page.first_seq, page.last_seq + 1),
        };
        assert!(edge.is_none_or(|edge| edge == opens), "{page:?}");
        edge = Some(ends);
        let chain = page.events.iter().zip(page.events.iter().skip(1));
        for (one, next) in chain {
            let (older, newer) = if backwards { (next, one) } else { (one, next) };
            assert_eq!(newer.prev, older.seq, "{page:?}");
        }
        found.extend(page.events.iter().map(|event| event.seq));
        gaps.extend(page.gap.map(|gap| (gap.from, gap.to, gap.reason)));
        from = Some(Mark::Position(page.next));
        if !page.more {
            return (found, gaps);
        }
    }
    panic!("a circle: {found:?}");
}

/// A node that knows no mirror says where history begins.
async fn without_a_mirror(deployment: &Deployment, gone: u64) {
    let other = client(deployment, 1).await;
    let first = Mark::Sequence(AtSequence { seq: 1 });
    let told = page(&other, Some(first), false).await;
    let gap = told.gap.expect("it is told");
    assert_eq!(gap.from, 1);
    assert!(gap.to >= gone && told.begins > gone, "{gap:?}");
    other.close().await;
}

/// What Kafka has lost as well is told, and is no part of what has a beginning.
async fn lost_everywhere(deployment: &Deployment, node: &Client, ours: &[u64]) {
    forget(deployment, &topic(deployment, "chat"), 30).await;
    let first = Mark::Sequence(AtSequence { seq: 1 });
    let (found, gaps) = pages(node, Some(first), false).await;
    let [(1, to, GapReason::Retention)] = gaps[..] else {
        panic!("{gaps:?}");
    };
    let left: Vec<u64> = ours.iter().copied().filter(|seq| *seq > to).collect();
    assert_eq!(found, left);
    let earliest = Mark::End(End::Earliest);
    let (again, gaps) = pages(node, Some(earliest), false).await;
    assert_eq!((&again, gaps), (&found, vec![]));
    let (mut falling, gaps) = pages(node, None, true).await;
    falling.reverse();
    assert_eq!(falling, found);
    assert_eq!(gaps, [(1, to, GapReason::Retention)]);
}

/// A mirror that is away is no end of history.
async fn away(node: &Client, at: u64) {
    let asked = History {
        channel: CHANNEL.into(),
        from: Some(Mark::Sequence(AtSequence { seq: at })),
        backwards: false,
        headers: HeaderFilter::default(),
        limit: None,
    };
    match node.history(asked).await {
        Err(ClientError::Refused(refused)) => {
            assert_eq!(refused.code, ErrorCode::Unavailable);
            assert!(refused.message.contains("in the mirror"), "{refused:?}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_store_lost_comes_from_the_mirror() {
    let Some((mut deployment, ours, gone)) = halved().await else {
        return;
    };
    let mut falling = ours.clone();
    falling.reverse();
    let node = client(&deployment, 0).await;
    let first = Mark::Sequence(AtSequence { seq: 1 });
    assert_eq!(
        pages(&node, Some(first), false).await,
        (ours.clone(), vec![])
    );
    let earliest = Mark::End(End::Earliest);
    assert_eq!(
        pages(&node, Some(earliest), false).await,
        (ours.clone(), vec![])
    );
    assert_eq!(pages(&node, None, true).await, (falling, vec![]));
    // From the middle of what is gone, by sequence and by time, both ways.
    let at = ours[ours.len() / 4];
    let seq = Mark::Sequence(AtSequence { seq: at });
    let later: Vec<u64> = ours.iter().copied().filter(|seq| *seq >= at).collect();
    assert_eq!(
        pages(&node, Some(seq.clone()), false).await,
        (later, vec![])
    );
    let earlier = ours.iter().rev().copied().filter(|seq| *seq <= at);
    let earlier: Vec<u64> = earlier.collect();
    let (found, gaps) = pages(&node, Some(seq.clone()), true).await;
    assert_eq!((found, gaps), (earlier, vec![]));
    let old = page(&node, Some(seq), false).await.events.remove(0);
    assert_eq!(old.seq, at);
    let time = Mark::Time(AtTime { time: old.time });
    let (found, _) = pages(&node, Some(time.clone()), false).await;
    assert!(found.ends_with(&ours[ours.len() / 4..]), "{found:?}");
    let (found, _) = pages(&node, Some(time), true).await;
    assert!(
        found.contains(&at) && found.ends_with(&[ours[0]]),
        "{found:?}"
    );

    without_a_mirror(&deployment, gone).await;
    lost_everywhere(&deployment, &node, &ours).await;
    deployment.bridges[0].stop().await;
    away(&node, at).await;
    node.close().await;
    deployment.stop().await;
}

/// JetStream knows no time of a sequence that it no longer keeps: it is searched for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sequence_is_found_in_a_long_topic() {
    let Some(mut deployment) = short(alone()).start().await else {
        return;
    };
    let stored = futures_util::stream::iter(0..MANY).map(async |n| {
        let channel = ["chat.a", "chat.b", "chat.c"][n as usize % 3];
        store(&deployment, &deployment.tenant, channel, "1".into()).await
    });
    let stored: Vec<u64> = stored.buffer_unordered(AT_A_TIME).collect().await;
    let last = stored.into_iter().max().unwrap();
    mirrored(&deployment, last).await;
    forgotten(&deployment, last).await;
    for from in [1, 2, MANY / 3, MANY - 5_000, MANY - 1, last] {
        let (mut events, gaps) = snapshot(&deployment, ReplayStart::Sequence(from))
            .await
            .unwrap();
        // In order of each channel.
        events.sort_unstable();
        assert!(events.into_iter().eq(from..=last), "{from}");
        assert_eq!(gaps, []);
    }
    deployment.stop().await;
}
