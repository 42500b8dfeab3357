//! The client against a scripted edge node: what it sends after a refusal, a lost
//! connection, a break and a full queue.

mod fake;

use std::time::Duration;

use protocol::class::Class;
use protocol::error_code::ErrorCode;
use protocol::frame::{Action, Named, Publish, Start, Subscribe};
use serde_json::json;

use super::{Client, ClientError, ClientOptions, Delivery, Draft, Subscription};
use fake::{FakeEdge, Session};

/// Far longer than anything here takes.
const DEADLINE: Duration = Duration::from_secs(10);
const EPOCH: &str = "0a";

async fn within<F: Future>(future: F) -> F::Output {
    let outcome = tokio::time::timeout(DEADLINE, future).await;
    outcome.expect("it should not take so long")
}

/// A client with a short queue, and the session that it opened.
async fn open(edge: &FakeEdge) -> (Client, Session) {
    let mut options = ClientOptions::new(edge.address(), "token");
    options.queue = 2;
    let (client, session) = tokio::join!(Client::connect(options), edge.accept());
    (client.unwrap(), session)
}

fn draft(n: u64) -> Draft {
    Draft::json("doc.a", n.to_string())
}

async fn publish(session: &mut Session) -> (u64, Publish) {
    match session.command().await {
        (id, Action::Publish(body)) => (id, body),
        other => panic!("not a publish: {other:?}"),
    }
}

async fn subscribe(session: &mut Session) -> (u64, Subscribe) {
    match session.command().await {
        (id, Action::Subscribe(body)) => (id, body),
        other => panic!("not a subscribe: {other:?}"),
    }
}

async fn ack(session: &mut Session, id: u64, n: u64) {
    let position = json!({"epoch": EPOCH, "seq": 10 + n});
    let body = json!({"n": n, "stored_in": "events", "position": position, "duplicate": false});
    session.send(json!({"id": id, "publish": body})).await;
}

async fn agree(session: &mut Session, id: u64, after: u64) {
    let body = json!({"channel": "doc.a", "epoch": EPOCH, "after": after});
    session.send(json!({"id": id, "subscribe": body})).await;
}

async fn event(session: &mut Session, seq: u64, prev: u64) {
    let body =
        json!({"channel": "doc.a", "seq": seq, "prev": prev, "time": seq, "id": "x", "data": seq});
    session.send(json!({"event": body})).await;
}

async fn left(session: &mut Session) {
    let (id, action) = session.command().await;
    assert!(matches!(action, Action::Unsubscribe(_)), "{action:?}");
    let body = json!({"channel": "doc.a"});
    session.send(json!({"id": id, "unsubscribe": body})).await;
}

fn after(subscribe: &Subscribe) -> u64 {
    match &subscribe.from {
        Some(Start::After(position)) => position.seq,
        other => panic!("not after a position: {other:?}"),
    }
}

async fn next_seq(subscription: &mut Subscription) -> u64 {
    match within(subscription.next()).await {
        Some(Ok(Delivery::Event { event, .. })) => event.seq,
        other => panic!("not an event: {other:?}"),
    }
}

#[tokio::test]
async fn unacknowledged_events_are_resent_in_order_after_a_lost_connection() {
    let edge = FakeEdge::start().await;
    let (client, mut session) = open(&edge).await;
    let mut acks = Vec::new();
    for n in 1..=3 {
        acks.push(client.publish_start(draft(n)).await.unwrap());
    }
    let (id, first) = publish(&mut session).await;
    assert_eq!((first.n, first.first_sent), (1, None));
    ack(&mut session, id, 1).await;
    publish(&mut session).await;
    assert_eq!(within(acks.remove(0)).await.unwrap().position.seq, 11);
    drop(session);
    let mut session = edge.accept().await;
    for (n, ack_of) in (2..=3).zip(acks) {
        let (id, again) = publish(&mut session).await;
        assert_eq!(again.n, n);
        // The third may not have been sent before; the second certainly was.
        assert!(n == 3 || again.first_sent.is_some());
        ack(&mut session, id, n).await;
        assert_eq!(within(ack_of).await.unwrap().n, n);
    }
    assert_eq!(client.stats().reconnects, 1);
}

#[tokio::test]
async fn refusals_are_retried_or_told() {
    let edge = FakeEdge::start().await;
    let (client, mut session) = open(&edge).await;
    let ack_of = client.publish_start(draft(1)).await.unwrap();
    let (id, _) = publish(&mut session).await;
    session.refuse(id, "earlier_refused", Some(1)).await;
    let (id, again) = publish(&mut session).await;
    assert_eq!((again.n, again.first_sent), (1, None));
    session.refuse(id, "id_reused", None).await;
    let refused = within(ack_of).await;
    assert!(
        matches!(refused, Err(ClientError::Refused(_))),
        "{refused:?}"
    );
    let bad = client.publish(Draft::json("doc.a", "{")).await;
    assert!(matches!(bad, Err(ClientError::NotJson)));
    // What is as long as the node takes is sent; a byte more is not.
    let data = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
    let long = client.publish(Draft::json("doc.a", data(65_537))).await;
    assert!(
        matches!(long, Err(ClientError::TooLarge { .. })),
        "{long:?}"
    );
    let fits = Draft::json("doc.a", data(65_536));
    let _ack = client.publish_start(fits).await.unwrap();
    assert_eq!(publish(&mut session).await.1.n, 2);
}

#[tokio::test]
async fn a_break_is_read_again_from_the_last_event() {
    let edge = FakeEdge::start().await;
    let (client, mut session) = open(&edge).await;
    let now = Start::Named(Named::Now);
    let answer = async {
        let (id, _) = subscribe(&mut session).await;
        agree(&mut session, id, 4).await;
    };
    let (subscription, ()) = tokio::join!(client.subscribe("doc.a", now.clone()), answer);
    let mut subscription = subscription.unwrap();
    assert_eq!(subscription.subscribed().after, 4);
    let twice = client.subscribe("doc.a", now).await;
    assert!(matches!(twice, Err(ClientError::AlreadySubscribed { .. })));
    event(&mut session, 5, 4).await;
    event(&mut session, 9, 7).await;
    assert_eq!(next_seq(&mut subscription).await, 5);
    left(&mut session).await;
    let (id, again) = subscribe(&mut session).await;
    assert_eq!(after(&again), 5);
    agree(&mut session, id, 5).await;
    event(&mut session, 7, 5).await;
    event(&mut session, 9, 7).await;
    assert_eq!(next_seq(&mut subscription).await, 7);
    assert_eq!(next_seq(&mut subscription).await, 9);
    assert_eq!(client.stats().breaks, 1);
    drop(subscription);
    left(&mut session).await;
}

#[tokio::test]
async fn a_slow_reader_and_a_new_connection_resume_where_delivery_ended() {
    let edge = FakeEdge::start().await;
    let (client, mut session) = open(&edge).await;
    let answer = async {
        let (id, _) = subscribe(&mut session).await;
        agree(&mut session, id, 0).await;
    };
    let earliest = Start::Named(Named::Earliest);
    let (subscription, ()) = tokio::join!(client.subscribe("doc.a", earliest), answer);
    let mut subscription = subscription.unwrap();
    for seq in 1..=3 {
        event(&mut session, seq, seq - 1).await;
    }
    left(&mut session).await;
    assert_eq!(next_seq(&mut subscription).await, 1);
    let (_, again) = subscribe(&mut session).await;
    assert_eq!(after(&again), 2);
    assert_eq!(client.stats().overflows, 1);
    // The answer never comes: the connection is cut, and the channel asked for anew.
    drop(session);
    let mut session = edge.accept().await;
    let (id, again) = subscribe(&mut session).await;
    assert_eq!(after(&again), 2);
    agree(&mut session, id, 2).await;
    event(&mut session, 3, 2).await;
    assert_eq!(next_seq(&mut subscription).await, 2);
    assert_eq!(next_seq(&mut subscription).await, 3);
    session.close(4501).await;
    let end = within(subscription.next()).await;
    assert!(
        matches!(end, Some(Err(ClientError::Closed { code: 4501, .. }))),
        "{end:?}"
    );
    assert!(within(subscription.next()).await.is_none());
    let ended = client.publish(draft(1)).await;
    assert!(matches!(ended, Err(ClientError::Ended)));
}

#[tokio::test]
async fn closing_waits_for_acks_and_ends_subscriptions_in_peace() {
    let edge = FakeEdge::start().await;
    let (client, mut session) = open(&edge).await;
    let answer = async {
        let (id, _) = subscribe(&mut session).await;
        agree(&mut session, id, 0).await;
    };
    let now = Start::Named(Named::Now);
    let (subscription, ()) = tokio::join!(client.subscribe("doc.a", now), answer);
    let ack_of = client.publish_start(draft(1)).await.unwrap();
    let serve = async {
        let (id, _) = publish(&mut session).await;
        ack(&mut session, id, 1).await;
        session.closed().await;
    };
    within(async { tokio::join!(client.close(), serve) }).await;
    assert!(within(ack_of).await.is_ok());
    assert!(within(subscription.unwrap().next()).await.is_none());
}

/// What the node is asked to go on with, answered.
async fn refresh(session: &mut Session, reply: serde_json::Value) -> String {
    let (id, action) = session.command().await;
    let Action::Refresh(body) = action else {
        panic!("not a refresh: {action:?}");
    };
    let mut frame = reply;
    frame["id"] = json!(id);
    session.send(frame).await;
    body.token
}

#[tokio::test]
async fn another_token_is_handed_over_and_begins_the_next_connection() {
    let edge = FakeEdge::start().await;
    let (client, mut session) = open(&edge).await;
    let answer = async {
        let (id, _) = subscribe(&mut session).await;
        agree(&mut session, id, 0).await;
    };
    let now = Start::Named(Named::Now);
    let (subscription, ()) = tokio::join!(client.subscribe("doc.a", now), answer);
    let mut subscription = subscription.unwrap();
    let taken = refresh(&mut session, json!({"refresh": {"expires_at": 77}}));
    let (done, token) = within(async { tokio::join!(client.refresh("fresh"), taken) }).await;
    assert!(done.is_ok(), "{done:?}");
    assert_eq!((token.as_str(), client.session().expires_at), ("fresh", 77));
    let told = json!({"unsubscribed": {"channel": "doc.a", "code": "forbidden"}});
    session.send(told).await;
    match within(subscription.next()).await {
        Some(Err(ClientError::Refused(body))) => assert_eq!(body.code, ErrorCode::Forbidden),
        other => panic!("{other:?}"),
    }
    let error = json!({"code": "bad_token", "message": "no", "temporary": false});
    let refused = refresh(&mut session, json!({"error": error}));
    let (done, _) = within(async { tokio::join!(client.refresh("worse"), refused) }).await;
    assert!(matches!(done, Err(ClientError::Refused(_))), "{done:?}");
    drop(session);
    // One that was refused is forgotten.
    edge.accept_with("fresh").await;
}

#[tokio::test]
async fn an_ephemeral_event_is_sent_once_and_never_again() {
    let edge = FakeEdge::start().await;
    let (client, mut session) = open(&edge).await;
    let passing = {
        let client = client.clone();
        tokio::spawn(async move { client.pass_on(draft(1)).await })
    };
    let (id, body) = publish(&mut session).await;
    assert_eq!((body.class, body.first_sent), (Class::Ephemeral, None));
    let reply = json!({"n": body.n, "class": "ephemeral", "dropped": "far"});
    session.send(json!({"id": id, "publish": reply})).await;
    let passed = within(passing).await.unwrap().unwrap();
    assert_eq!((passed.n, passed.dropped.as_deref()), (1, Some("far")));

    let refused = {
        let client = client.clone();
        tokio::spawn(async move { client.pass_on(draft(2)).await })
    };
    let (id, _) = publish(&mut session).await;
    session.refuse(id, "gate_unavailable", Some(1)).await;
    let refused = within(refused).await.unwrap();
    assert!(matches!(refused, Err(ClientError::Refused(body)) if body.temporary));

    // Nobody knows what became of one whose connection was lost, and it is not resent.
    let lost = {
        let client = client.clone();
        tokio::spawn(async move { client.pass_on(draft(3)).await })
    };
    publish(&mut session).await;
    drop(session);
    assert!(matches!(
        within(lost).await.unwrap(),
        Err(ClientError::Lost)
    ));
    let mut session = edge.accept().await;
    let acked = tokio::spawn(async move { client.publish(draft(4)).await });
    let (id, body) = publish(&mut session).await;
    assert_eq!((body.n, body.class), (4, Class::Durable));
    ack(&mut session, id, 4).await;
    within(acked).await.unwrap().unwrap();
}
