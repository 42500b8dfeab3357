//! Reads account for every sequence from the one that was asked for: what Kafka no
//! longer has comes from JetStream, and what neither has is told, exactly.

use std::time::Duration;

use client::replay::{ReplayEnd, ReplayError, ReplayItem, ReplayRequest, ReplayStart};
use control::Deployer;
use futures_util::StreamExt;
use harness::{Builder, Deployment, until};
use protocol::name::{ChannelPattern, Tenant, User};
use protocol::record::MirrorGap;
use protocol::revocation::Revoked;
use protocol::stream::StreamName;
use rdkafka::admin::AdminOptions;
use rdkafka::{Offset, TopicPartitionList};
use tonic::Code;

use super::common::{admin, alone, broken, delete, make, mirrored, notes, sequences, store, topic};

/// Events of each test.
const EVENTS: u64 = 100;
/// How long a test's events are kept that must be gone soon.
const SHORT_AGE: Duration = Duration::from_secs(3);

fn request(start: ReplayStart, end: ReplayEnd) -> ReplayRequest {
    let channels = ChannelPattern::parse("chat.>").unwrap();
    ReplayRequest {
        start,
        end,
        ..ReplayRequest::events(channels)
    }
}

/// A snapshot's sequences and gaps.
pub async fn snapshot(
    deployment: &Deployment,
    start: ReplayStart,
) -> Result<(Vec<u64>, Vec<MirrorGap>), ReplayError> {
    let client = deployment.replay_client(0, "reader").await;
    let mut items = client.read(request(start, ReplayEnd::Snapshot)).await?;
    let (mut events, mut gaps) = (Vec::new(), Vec::new());
    while let Some(item) = items.next().await {
        match item? {
            ReplayItem::Event(event) => events.push(event.seq),
            ReplayItem::Gap(gap) => gaps.push(gap),
            _ => {}
        }
    }
    Ok((events, gaps))
}

fn status(error: ReplayError) -> Code {
    match error {
        ReplayError::Status(status) => status.code(),
        other => panic!("{other}"),
    }
}

/// Waits until a store of [`short`] keeps nothing up to a sequence.
pub async fn forgotten(deployment: &Deployment, last: u64) {
    let stream = StreamName::events(deployment.store_name());
    until("jetstream forgets them", async || {
        let state = deployment.bus.stream_state(&stream).await;
        match state.map_err(|error| error.to_string())? {
            state if state.first_seq > last => Ok(()),
            state => Err(format!("{state:?}")),
        }
    })
    .await;
}

/// A store that keeps what it has for a short time alone.
pub fn short(builder: Builder) -> Builder {
    builder.store(|store| {
        store.events_max_age = SHORT_AGE;
        store.ingress_max_age = SHORT_AGE;
        store.duplicate_window_events = SHORT_AGE / 2;
        store.duplicate_window_ingress = SHORT_AGE / 2;
    })
}

/// Has Kafka forget the first so many records of the topic's partition that holds them.
pub async fn forget(deployment: &Deployment, topic: &str, records: usize) {
    let all = super::common::read(deployment).await.records;
    let mut of_topic: Vec<_> = all.iter().filter(|one| one.topic == topic).collect();
    of_topic.sort_unstable_by_key(|record| record.seq);
    let (partition, offset) = (of_topic[records].partition, of_topic[records].offset);
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, Offset::Offset(offset))
        .unwrap();
    let options = AdminOptions::new();
    let deleted = admin(deployment).delete_records(&list, &options).await;
    deleted.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_kafka_forgot_comes_from_jetstream() {
    let Some(mut deployment) = alone().start().await else {
        return;
    };
    let last = notes(&deployment, "chat.a", EVENTS).await;
    mirrored(&deployment, last).await;
    forget(&deployment, &topic(&deployment, "chat"), 60).await;

    for start in [ReplayStart::Sequence(11), ReplayStart::Sequence(1)] {
        let from = if let ReplayStart::Sequence(from) = start {
            from
        } else {
            1
        };
        let (events, gaps) = snapshot(&deployment, start).await.unwrap();
        assert_eq!(events, (from..=last).collect::<Vec<_>>());
        assert_eq!(gaps, []);
    }
    let (events, gaps) = snapshot(&deployment, ReplayStart::Earliest).await.unwrap();
    assert_eq!((events.len() as u64, gaps.len()), (EVENTS, 0));
    deployment.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_neither_has_is_told_and_nothing_more() {
    let Some(mut deployment) = short(alone()).start().await else {
        return;
    };
    let last = notes(&deployment, "chat.a", EVENTS).await;
    mirrored(&deployment, last).await;
    forget(&deployment, &topic(&deployment, "chat"), 60).await;
    forgotten(&deployment, last).await;

    let (events, gaps) = snapshot(&deployment, ReplayStart::Sequence(11))
        .await
        .unwrap();
    assert_eq!(events, (61..=last).collect::<Vec<_>>());
    let ranges: Vec<_> = gaps.iter().map(|gap| (gap.from, gap.to)).collect();
    assert_eq!(ranges, [(11, 60)]);
    let (events, gaps) = snapshot(&deployment, ReplayStart::Earliest).await.unwrap();
    assert_eq!((events.len() as u64, gaps.len()), (EVENTS - 60, 0));
    deployment.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_made_anew_is_read_from_jetstream() {
    let Some(mut deployment) = alone().start().await else {
        return;
    };
    let last = notes(&deployment, "chat.a", EVENTS).await;
    mirrored(&deployment, last).await;
    let chat = topic(&deployment, "chat");
    delete(&deployment, &chat).await;
    make(&deployment, &chat).await;
    broken(&deployment, &chat).await;
    assert_eq!(sequences(&deployment, &chat).await, [0u64; 0]);
    let last = notes(&deployment, "chat.b", 5).await;
    let (events, gaps) = snapshot(&deployment, ReplayStart::Earliest).await.unwrap();
    assert_eq!(events, (1..=last).collect::<Vec<_>>());
    assert_eq!(gaps, []);
    deployment.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_past_the_end_is_refused_and_says_so() {
    let Some(mut deployment) = alone().start().await else {
        return;
    };
    let last = notes(&deployment, "chat.a", 2).await;
    mirrored(&deployment, last).await;
    let past = |seq| snapshot(&deployment, ReplayStart::Sequence(seq));
    assert_eq!(past(last + 1).await.unwrap().0, [0u64; 0]);
    for seq in [last + 2, u64::MAX] {
        assert_eq!(status(past(seq).await.unwrap_err()), Code::OutOfRange);
    }
    deployment.stop().await;
}

/// A pattern is followed by a filter of its own: it gives what it covers, of its tenant
/// alone, in whichever lane.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_live_pattern_gives_what_it_covers() {
    let Some(mut deployment) = alone().start().await else {
        return;
    };
    let first = notes(&deployment, "chat.a", 1).await;
    mirrored(&deployment, first).await;
    let client = deployment.replay_client(0, "reader").await;
    let mut items = client
        .read(request(ReplayStart::Sequence(first), ReplayEnd::Live))
        .await
        .unwrap();
    let other = Tenant::parse("other").unwrap();
    let mut owed = vec![first];
    for n in 0..8 {
        let tenant = deployment.tenant.clone();
        let channel = format!("chat.room{n}");
        owed.push(store(&deployment, &tenant, &channel, "1".into()).await);
        store(&deployment, &other, &channel, "1".into()).await;
        store(&deployment, &tenant, "doc.a", "1".into()).await;
    }
    let mut given = Vec::new();
    while given.len() < owed.len() {
        let item = harness::wait::within("an event comes", items.next()).await;
        if let ReplayItem::Event(event) = item.unwrap().unwrap() {
            given.push(event.seq);
        }
    }
    assert_eq!(given, owed);
    deployment.stop().await;
}

/// One tenant that takes all it may leaves room for another; and a read ends when its
/// user is revoked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_has_a_share_of_the_places_until_it_is_revoked() {
    let Some(mut deployment) = alone().start().await else {
        return;
    };
    let client = deployment.replay_client(0, "reader").await;
    let live = || client.read(request(ReplayStart::Earliest, ReplayEnd::Live));
    let mut open = Vec::new();
    for _ in 0..8 {
        open.push(live().await.unwrap());
    }
    let refused = live().await.map(drop).expect_err("the ninth is refused");
    assert_eq!(status(refused), Code::ResourceExhausted);
    open.pop();
    until("its place is free again", async || {
        live().await.map(drop).map_err(|error| error.to_string())
    })
    .await;
    let reader = Revoked::User(User::parse("reader").unwrap());
    let (deployer, hour) = (
        Deployer::new(&deployment.bus, "tests"),
        Duration::from_secs(3_600),
    );
    let tenant = deployment.tenant.clone();
    deployer.revoke(tenant, reader, hour).await.unwrap();
    for mut read in open {
        let end = harness::wait::within("the read ends", async {
            loop {
                match read.next().await {
                    Some(Ok(_)) => {}
                    end => return end,
                }
            }
        });
        let error = end.await.expect("it says why").unwrap_err();
        assert_eq!(status(error), Code::Unauthenticated);
    }
    let refused = live()
        .await
        .map(drop)
        .expect_err("a revoked user is refused");
    assert_eq!(status(refused), Code::Unauthenticated);
    deployment.stop().await;
}

/// That brokers do not know a topic is no proof that nothing was mirrored.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_kafka_does_not_know_is_not_an_empty_one() {
    let Some(mut deployment) = alone().start().await else {
        return;
    };
    let last = notes(&deployment, "chat.a", EVENTS).await;
    mirrored(&deployment, last).await;
    delete(&deployment, &topic(&deployment, "chat")).await;
    match snapshot(&deployment, ReplayStart::Earliest).await {
        Err(error) => assert_eq!(status(error), Code::Unavailable),
        Ok((events, gaps)) => assert!(
            !events.is_empty() || !gaps.is_empty(),
            "it ended as if there were nothing"
        ),
    }
    deployment.stop().await;
}
