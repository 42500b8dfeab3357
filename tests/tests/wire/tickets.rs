//! Tickets on real servers: a session comes back on another node with who it is and all that
//! it receives in one round trip, exactly where it stood; and what is refused of them.

use std::collections::BTreeMap;

use client::{Client, Delivery, Draft, Named, Start};
use harness::raw::Received;
use harness::wait::within;
use harness::{Deployment, RawSession, until};
use protocol::error_code::ErrorCode;
use protocol::frame::{
    Action, AskTicket, Connect, Encoding, FromServer, PublishReply, Resume, Subscribe, Ticket,
};
use protocol::secret::Secret;

use super::ephemeral::session;
use super::mutate::publish;
use super::refusals::PATIENT;
use super::seen::{Probe, Seen};

fn resume(client: &str, ticket: &str, after: Vec<Option<u64>>) -> Action {
    let ticket = ticket.to_owned();
    Action::Connect(Connect {
        resume: Some(Resume { ticket, after }),
        ..Connect::new("", client)
    })
}

/// Provokes what is refused where no key is configured; a session goes on with a token.
pub async fn provoke(deployment: &Deployment, encoding: Encoding, seen: &mut Seen) {
    let (address, token) = (deployment.edges[PATIENT].address(), deployment.token("ann"));
    let name = format!("ticket-{encoding:?}");
    let mut probe = Probe::connect(address, encoding, &token, &name, seen).await;
    let (asked, bad) = (Action::Ticket(AskTicket {}), ErrorCode::BadTicket);
    probe.refused("a ticket without a key", asked, bad).await;
    let opened = RawSession::open(address, encoding, None).await;
    let mut session = opened.unwrap();
    let reply = session.ask(resume(&name, "x.y.z", Vec::new())).await;
    let error = reply.unwrap().error;
    seen.refusal("no ticket", error.as_ref(), ErrorCode::BadTicket);
    session
        .connect(&token, &name)
        .await
        .expect("a token will do");
}

fn builder() -> harness::Builder {
    let builder = Deployment::builder().without_mirror().functions(&[]);
    let builder = builder.workers(0).edges(2);
    builder.edge_config(|index, config| {
        // Keys are being changed: each node signs with another, and takes both.
        let keys = ["old", "new"].map(|name| Secret::new(name.repeat(16)));
        config.auth.ticket_keys = keys.into();
        config.auth.ticket_keys.rotate_left(index);
    })
}

async fn ticket(session: &mut RawSession) -> Ticket {
    let reply = session.ask(Action::Ticket(AskTicket {})).await.unwrap();
    *reply.ticket.unwrap_or_else(|| panic!("{:?}", reply.error))
}

async fn store(session: &mut RawSession, channel: &str, n: u64, kind: &str) -> u64 {
    let mut event = publish(Encoding::Json, channel, n, b"1");
    event.headers.insert("kind".into(), kind.into());
    let reply = session.ask(Action::Publish(event)).await.unwrap();
    let stored = reply.publish.and_then(PublishReply::stored);
    stored.expect("it was stored").position.seq
}

/// What comes of each channel, until all of them have caught up with these sequences; in the
/// order of their replies, the channels that were subscribed.
async fn read(
    session: &mut RawSession,
    until: &[(&str, u64)],
) -> (Vec<(u64, String)>, BTreeMap<String, Vec<u64>>) {
    let mut open: BTreeMap<&str, u64> = until.iter().copied().collect();
    let (mut replies, mut seqs) = (Vec::new(), BTreeMap::<String, Vec<u64>>::new());
    while !open.is_empty() {
        let frame = match within("more comes", session.next()).await {
            Received::Frame(frame) => *frame,
            ended => panic!("{ended:?}"),
        };
        let reached = reached(&frame);
        if let (Some(id), Some(subscribed)) = (frame.id, frame.subscribe) {
            replies.push((id, subscribed.channel));
        }
        if let Some(event) = frame.event {
            seqs.entry(event.channel).or_default().push(event.seq);
        }
        if let Some((channel, seq)) = reached {
            open.retain(|known, wanted| *known != channel || seq < *wanted);
        }
    }
    (replies, seqs)
}

/// How far a frame brings its channel.
fn reached(frame: &FromServer) -> Option<(String, u64)> {
    let event = frame.event.as_ref();
    let event = event.map(|event| (event.channel.clone(), event.seq));
    let passed = frame.passed.as_ref();
    let passed = passed.map(|passed| (passed.channel.clone(), passed.seq));
    let level = frame.caught_up.as_ref();
    event
        .or(passed)
        .or(level.map(|level| (level.channel.clone(), level.seq)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_comes_back_elsewhere_exactly_where_it_stood() {
    let Some(mut deployment) = builder().start().await else {
        return;
    };
    let mut joe = session(&deployment, 0, Encoding::Json, "writer").await;
    let mut tab = session(&deployment, 0, Encoding::Json, "tab").await;
    let wanted = Subscribe {
        headers: r#"{"kind":["a"]}"#.parse().unwrap(),
        ..Subscribe::new("chat.b")
    };
    for subscribe in [Subscribe::new("chat.a"), wanted] {
        let reply = tab.ask(Action::Subscribe(subscribe)).await.unwrap();
        reply.subscribe.expect("it stands");
    }
    let first = store(&mut joe, "chat.a", 1, "a").await;
    let before = store(&mut joe, "chat.b", 2, "a").await;
    let (_, seen) = read(&mut tab, &[("chat.a", first), ("chat.b", before)]).await;
    assert_eq!(seen["chat.a"], [first]);
    let held = ticket(&mut tab).await;
    assert_eq!(held.channels, ["chat.a", "chat.b"]);
    drop(tab);
    // Missed: what comes of the one, and of the other only what it wants.
    let mut missed = Vec::new();
    for n in 0..3 {
        missed.push(store(&mut joe, "chat.a", 10 + n, "b").await);
    }
    store(&mut joe, "chat.b", 20, "b").await;
    let last = store(&mut joe, "chat.b", 21, "a").await;

    for (client, after, whole) in [
        ("tab", vec![], &missed[..]),
        ("tab", vec![Some(missed[0]), None], &missed[1..]),
    ] {
        let address = deployment.edges[1].address();
        let opened = RawSession::open(address, Encoding::Msgpack, None).await;
        let mut back = opened.unwrap();
        let id = back
            .send(resume(client, &held.ticket, after))
            .await
            .unwrap();
        let first = match within("the reply", back.next()).await {
            Received::Frame(frame) => *frame,
            ended => panic!("{ended:?}"),
        };
        assert_eq!((first.id, first.error), (Some(id), None));
        let connected = first.connect.expect("it is who it was");
        assert_eq!(connected.user, "ann");
        assert_eq!(connected.resumed, ["chat.a", "chat.b"]);
        let ends = [("chat.a", missed[2]), ("chat.b", last)];
        let (mut replies, seen) = read(&mut back, &ends).await;
        replies.sort();
        let expected = [(id + 1, "chat.a".into()), (id + 2, "chat.b".into())];
        assert_eq!(replies, expected);
        assert_eq!(seen["chat.a"], whole);
        assert_eq!(seen["chat.b"], [last], "its filter came along");
        // And it may do what it might.
        let event = publish(Encoding::Msgpack, "chat.c", 1, b"1");
        let reply = back.ask(Action::Publish(event)).await.unwrap();
        assert_eq!(reply.error, None);
    }
    refused(&deployment, &held.ticket).await;
    deployment.stop().await;
}

/// What is nobody's, or another's, opens nothing, and a token is still taken.
async fn refused(deployment: &Deployment, ticket: &str) {
    let address = deployment.edges[1].address();
    let opened = RawSession::open(address, Encoding::Json, None).await;
    let mut session = opened.unwrap();
    let damaged = format!("{}x", &ticket[..ticket.len() - 1]);
    let both = Connect {
        token: deployment.token("ann"),
        ..match resume("tab", ticket, Vec::new()) {
            Action::Connect(connect) => connect,
            _ => unreachable!(),
        }
    };
    for (what, action) in [
        ("damaged", resume("tab", &damaged, Vec::new())),
        ("another writer's", resume("other", ticket, Vec::new())),
        ("of other channels", resume("tab", ticket, vec![Some(1)])),
        ("with a token", Action::Connect(both)),
    ] {
        let reply = session.ask(action).await.unwrap();
        assert_eq!(
            reply.error.expect(what).code,
            ErrorCode::BadTicket,
            "{what}"
        );
    }
    let token = deployment.token("ann");
    session
        .connect(&token, "tab")
        .await
        .expect("a token will do");
    // Nor is a ticket a token.
    let opened = RawSession::open(address, Encoding::Json, None).await;
    let reply = opened
        .unwrap()
        .ask(Action::Connect(Connect::new(ticket, "tab")))
        .await;
    assert_eq!(reply.unwrap().error.unwrap().code, ErrorCode::BadToken);
}

/// Channels of the client, and events on each before and after.
const CHANNELS: usize = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_comes_back_by_its_ticket_and_misses_nothing() {
    let Some(mut deployment) = builder().start().await else {
        return;
    };
    let mut options = deployment.client_options(&[0, 1], "ann");
    options.tickets = true;
    let ann = Client::connect(options).await.unwrap();
    let joe = Client::connect(deployment.client_options(&[0], "joe")).await;
    let joe = joe.unwrap();
    let mut subscriptions = Vec::new();
    for n in 0..CHANNELS {
        let channel = format!("chat.room-{n}");
        let now = Start::Named(Named::Now);
        subscriptions.push(ann.subscribe(&channel, now).await.unwrap());
    }
    for round in 1..=3_u64 {
        for n in 0..CHANNELS {
            let draft = Draft::json(format!("chat.room-{n}"), round.to_string());
            joe.publish(draft).await.unwrap();
        }
        for subscription in &mut subscriptions {
            let event = loop {
                match within("the next event", subscription.next()).await {
                    Some(Ok(Delivery::Event { event, .. })) => break event,
                    Some(Ok(Delivery::CaughtUp { .. })) => {}
                    other => panic!("{other:?}"),
                }
            };
            let data = client::data_of(&event).unwrap();
            assert_eq!(data, round.to_string(), "each once, and in order");
        }
        // It has a ticket by then, or soon: a connection begins with it.
        until("it comes back by a ticket", async || {
            let before = ann.stats();
            ann.reset().await.unwrap();
            let mut stands = ann.connected();
            let back =
                stands.wait_for(|stands| *stands && ann.stats().reconnects > before.reconnects);
            back.await.unwrap();
            match ann.stats().tickets >= round {
                true => Ok(()),
                false => Err("by its token".to_owned()),
            }
        })
        .await;
    }
    assert_eq!(ann.stats().breaks, 0);
    ann.close().await;
    joe.close().await;
    deployment.stop().await;
}
