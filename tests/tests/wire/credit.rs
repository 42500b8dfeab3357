//! Credit on real servers: a subscriber is sent as many events as it has granted and no
//! more, from the store as from what is live; what waits is not lost, what is ephemeral is
//! dropped and told.

use harness::raw::Received;
use harness::wait::within;
use harness::{Deployment, RawSession, until};
use protocol::class::Class;
use protocol::error_code::ErrorCode;
use protocol::frame::{
    Action, CREDIT_EVENTS_MAX, Encoding, Grant, Named, Ping, Publish, PublishReply, Start,
    Subscribe, Unsubscribe,
};

use super::ephemeral::{allow, session};
use super::mutate::publish;
use super::pair::pair;
use super::refusals::PATIENT;
use super::seen::{Probe, Seen};

/// Events that only the store has when they are asked for: more than a feed keeps.
const STORED: u64 = 400;

fn subscribe(channel: &str, credit: Option<u64>, from: Named) -> Action {
    Action::Subscribe(Subscribe {
        credit,
        from: Some(Start::Named(from)),
        ..Subscribe::new(channel)
    })
}

fn grant(channel: &str, events: u64) -> Action {
    Action::Credit(Grant {
        channel: channel.into(),
        events,
    })
}

/// Provokes what is refused of a credit; limits in pairs.
pub async fn provoke(deployment: &Deployment, encoding: Encoding, seen: &mut Seen) {
    let (address, token) = (deployment.edges[PATIENT].address(), deployment.token("ann"));
    let name = format!("credit-{encoding:?}");
    let mut probe = Probe::connect(address, encoding, &token, &name, seen).await;
    let (unknown, bad) = (ErrorCode::NotSubscribed, ErrorCode::BadCredit);
    let beyond = subscribe("chat.c", Some(CREDIT_EVENTS_MAX + 1), Named::Now);
    probe.refused("a large credit", beyond, bad).await;
    let action = grant("chat.c", 1);
    probe.refused("credit of no channel", action, unknown).await;
    let most = subscribe("chat.c", Some(CREDIT_EVENTS_MAX - 1), Named::Now);
    probe.accepted("the largest credit", most).await;
    probe.refused("no credit", grant("chat.c", 0), bad).await;
    let reply = probe.accepted("what is left", grant("chat.c", 1)).await;
    let granted = reply.credit.expect("a reply to credit");
    assert_eq!(
        (granted.channel.as_str(), granted.left),
        ("chat.c", CREDIT_EVENTS_MAX)
    );
    probe.refused("one too many", grant("chat.c", 1), bad).await;
    let free = subscribe("chat.d", None, Named::Now);
    probe.accepted("without credit", free).await;
    let action = grant("chat.d", 1);
    probe.refused("credit for everything", action, bad).await;
}

/// What a session is sent until a `ping` that follows it is answered: the sequences, each
/// with the one before, and whether it has caught up.
async fn told(session: &mut RawSession) -> (Vec<(u64, u64)>, bool) {
    let id = session.send(Action::Ping(Ping {})).await.unwrap();
    let (mut links, mut caught_up) = (Vec::new(), false);
    loop {
        match session.next().await {
            Received::Frame(frame) if frame.id == Some(id) => return (links, caught_up),
            Received::Frame(frame) => {
                links.extend(frame.event.map(|event| (event.prev, event.seq)));
                caught_up |= frame.caught_up.is_some();
            }
            ended => panic!("{ended:?}"),
        }
    }
}

/// Reads so many events, and sees that no other comes.
async fn exactly(session: &mut RawSession, count: usize) -> Vec<(u64, u64)> {
    let mut links = Vec::new();
    until("as many events as were granted", async || {
        links.extend(told(session).await.0);
        match links.len() >= count {
            true => Ok(()),
            false => Err(format!("{} of {count}", links.len())),
        }
    })
    .await;
    links.extend(told(session).await.0);
    assert_eq!(links.len(), count);
    links
}

async fn store(session: &mut RawSession, channel: &str, from: u64, count: u64) -> Vec<u64> {
    let mut seqs = Vec::new();
    for n in from..from + count {
        let event = publish(Encoding::Json, channel, n, b"1");
        let reply = session.ask(Action::Publish(event)).await.unwrap();
        let stored = reply.publish.and_then(PublishReply::stored);
        seqs.push(stored.expect("it was stored").position.seq);
    }
    seqs
}

/// Each link begins where the one before ended, from the channel's first event on.
fn chained(links: &[(u64, u64)], seqs: &[u64]) {
    let before = [0].iter().chain(seqs).copied();
    let whole: Vec<_> = before.zip(seqs.iter().copied()).collect();
    assert_eq!(links, whole);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_many_events_are_sent_as_were_granted_and_none_is_lost() {
    let Some(mut deployment) = pair().start().await else {
        return;
    };
    for encoding in [Encoding::Json, Encoding::Msgpack] {
        let channel = format!("chat.{encoding:?}").to_lowercase();
        let writer = format!("ann-{encoding:?}");
        let mut ann = session(&deployment, 0, Encoding::Json, &writer).await;
        let mut seqs = store(&mut ann, &channel, 1, STORED).await;
        let mut reader = session(&deployment, 1, encoding, &channel[5..]).await;
        let action = subscribe(&channel, Some(3), Named::Earliest);
        reader.ask(action).await.unwrap().subscribe.expect("stands");
        let mut links = exactly(&mut reader, 3).await;
        // Out of the store, across its batches, up to what is live.
        for events in [1, 7, STORED - 16] {
            let reply = reader.ask(grant(&channel, events)).await.unwrap();
            assert!(reply.credit.is_some_and(|granted| granted.left <= events));
            links.extend(exactly(&mut reader, events as usize).await);
        }
        // Five of the store and four that are stored later; two more are left.
        reader.ask(grant(&channel, 11)).await.unwrap();
        links.extend(exactly(&mut reader, 5).await);
        seqs.extend(store(&mut ann, &channel, STORED + 1, 4).await);
        links.extend(exactly(&mut reader, 4).await);
        seqs.extend(store(&mut ann, &channel, STORED + 5, 6).await);
        links.extend(exactly(&mut reader, 2).await);
        reader.ask(grant(&channel, 100)).await.unwrap();
        links.extend(exactly(&mut reader, 4).await);
        chained(&links, &seqs);
        // Another subscription begins with its own.
        let leave = Action::Unsubscribe(Unsubscribe {
            channel: channel.clone(),
        });
        reader.ask(leave).await.unwrap();
        let reply = reader.ask(grant(&channel, 1)).await.unwrap();
        assert_eq!(reply.error.unwrap().code, ErrorCode::NotSubscribed);
        let action = subscribe(&channel, Some(0), Named::Earliest);
        reader.ask(action).await.unwrap().subscribe.expect("stands");
        exactly(&mut reader, 0).await;
    }
    deployment.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_granted_nothing_has_caught_up_where_nothing_is_missed() {
    let Some(mut deployment) = pair().start().await else {
        return;
    };
    let mut ann = session(&deployment, 0, Encoding::Json, "ann-1").await;
    let mut reader = session(&deployment, 1, Encoding::Json, "reader").await;
    let action = subscribe("chat.empty", Some(0), Named::Earliest);
    reader.ask(action).await.unwrap().subscribe.expect("stands");
    until("it has caught up", async || match told(&mut reader).await {
        (links, true) if links.is_empty() => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    let seqs = store(&mut ann, "chat.empty", 1, 2).await;
    exactly(&mut reader, 0).await;
    reader.ask(grant("chat.empty", 5)).await.unwrap();
    chained(&exactly(&mut reader, 2).await, &seqs);
    deployment.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ephemeral_events_beyond_the_credit_are_dropped_and_told() {
    let Some(mut deployment) = pair().start().await else {
        return;
    };
    allow(&deployment, "chat", &[Class::Durable, Class::Ephemeral]).await;
    let mut ann = session(&deployment, 0, Encoding::Json, "ann-1").await;
    let mut reader = session(&deployment, 0, Encoding::Json, "reader").await;
    let mut watcher = session(&deployment, 0, Encoding::Json, "watcher").await;
    for (who, credit) in [(&mut reader, Some(2)), (&mut watcher, None)] {
        let reply = who.ask(subscribe("chat.a", credit, Named::Now)).await;
        reply.unwrap().subscribe.expect("stands");
    }
    let mut pass = 0;
    until("the node passes them on", async || {
        pass += 1;
        let event = Publish {
            class: Class::Ephemeral,
            ..publish(Encoding::Json, "chat.other", pass, b"1")
        };
        match ann.ask(Action::Publish(event)).await.unwrap().error {
            None => Ok(()),
            Some(error) => Err(error.message),
        }
    })
    .await;
    for n in 1..=5 {
        let event = Publish {
            class: Class::Ephemeral,
            ..publish(Encoding::Json, "chat.a", pass + n, b"1")
        };
        ann.ask(Action::Publish(event)).await.unwrap();
    }
    assert_eq!(fleeting(&mut watcher, 5).await, (5, 0));
    // Both are of one node and one run of its feed: what it had to get has come.
    assert_eq!(fleeting(&mut reader, 2).await, (2, 0));
    reader.ask(grant("chat.a", 1)).await.unwrap();
    assert_eq!(fleeting(&mut reader, 3).await, (0, 3));
    let event = publish(Encoding::Json, "chat.a", pass + 6, b"1");
    ann.ask(Action::Publish(event)).await.unwrap();
    exactly(&mut reader, 1).await;
    deployment.stop().await;
}

/// Ephemeral events that come, and how many are told to have been dropped: together so many,
/// and no more.
async fn fleeting(session: &mut RawSession, count: u64) -> (u64, u64) {
    within("what was passed on comes", counted(session, count)).await
}

async fn counted(session: &mut RawSession, count: u64) -> (u64, u64) {
    let (mut came, mut dropped) = (0, 0);
    let mut idle = 0;
    while came + dropped < count || idle < 2 {
        idle += u64::from(came + dropped >= count);
        let id = session.send(Action::Ping(Ping {})).await.unwrap();
        loop {
            match session.next().await {
                Received::Frame(frame) if frame.id == Some(id) => break,
                Received::Frame(frame) => {
                    came += u64::from(frame.ephemeral.is_some());
                    dropped += frame.dropped.map_or(0, |dropped| dropped.count);
                }
                ended => panic!("{ended:?}"),
            }
        }
    }
    (came, dropped)
}
