//! Core subscriptions: what is heard at once, and what is not.

use bus::BusError;
use futures_util::{FutureExt, StreamExt};
use protocol::bus::Outgoing;
use protocol::lane::Lane;
use protocol::name::FunctionName;
use protocol::subject::{Kind, Subject};

use super::fixture::{Fixture, event, look_again, store, subject, within};

pub async fn what_is_stored_is_heard_by_who_subscribes_to_it(f: Fixture) {
    let lane = Subject::lane_filter(Kind::Ev, &store(), Lane(0));
    let mut live = f.listen(&lane, &f.events).await;
    f.bus.publish(event("doc.a", 1)).await.unwrap();
    f.bus
        .commit_batch(vec![event("doc.b", 2), event("doc.c", 3)])
        .await
        .unwrap();
    for (channel, n) in [("doc.a", 1), ("doc.b", 2), ("doc.c", 3)] {
        let heard = within("the event", live.next()).await.unwrap();
        assert_eq!(heard.subject(), subject(Kind::Ev, channel).as_str());
        assert_eq!(heard.headers, event(channel, n).headers);
        assert_eq!(heard.republished, None);
    }
}

pub async fn without_a_stream_a_message_is_only_heard(f: Fixture) {
    let other = f.connect().await;
    let mut live = other.subscribe(&subject(Kind::Eph, "doc.a")).await.unwrap();
    other.flush().await.unwrap();
    let cursor = Outgoing {
        subject: subject(Kind::Eph, "doc.a"),
        ..event("doc.a", 1)
    };
    // Sent until it is heard: who listens elsewhere is not known at once.
    let heard = within("the message", async {
        loop {
            f.bus.publish_core(cursor.clone()).await.unwrap();
            look_again().await;
            if let Some(heard) = live.next().now_or_never() {
                return heard.unwrap();
            }
        }
    })
    .await;
    assert_eq!((&heard.payload[..], heard.republished), (&b"1"[..], None));
    // A stream takes what it takes however it comes.
    f.bus.publish_core(event("doc.a", 2)).await.unwrap();
    f.bus.flush().await.unwrap();
    within("the event", async {
        while f.bus.stream_state(&f.events).await.unwrap().last_seq < 1 {
            look_again().await;
        }
    })
    .await;
}

pub async fn a_dropped_subscription_hears_nothing(f: Fixture) {
    let fan = subject(Kind::Fan, "doc.a");
    let mut kept = f.listen(&fan, &f.events).await;
    let dropped = f.listen(&fan, &f.events).await;
    drop(dropped);
    f.bus.publish(event("doc.a", 1)).await.unwrap();
    assert!(within("the event", kept.next()).await.is_some());
    f.bus.flush().await.unwrap();
    assert!(kept.next().now_or_never().is_none(), "heard twice");
}

pub async fn only_events_are_republished(f: Fixture) {
    let fan = Subject::store_filter(Kind::Fan, &store());
    let mut live = f.listen(&fan, &f.events).await;
    let gate = FunctionName::parse("gate").unwrap();
    let to = |subject| Outgoing {
        subject,
        ..event("doc.a", 1)
    };
    let batch = vec![
        to(Subject::checkpoint(&store(), Lane(0), &gate)),
        to(Subject::dead_letter(&store(), Lane(0), &gate)),
        event("doc.a", 2),
        event("doc.a", 3),
    ];
    f.bus.commit_batch(batch).await.unwrap();
    for (seq, prev) in [(3, 0), (4, 3)] {
        let heard = within("the event", live.next()).await.unwrap();
        let said = heard.republished.unwrap();
        assert_eq!((said.stream_seq, said.prev), (seq, prev));
        assert_eq!(heard.subject(), subject(Kind::Fan, "doc.a").as_str());
    }
}

pub async fn a_break_is_counted_and_subscriptions_go_on(mut f: Fixture) {
    let mut live = f.bus.subscribe(&subject(Kind::Fan, "doc.a")).await.unwrap();
    f.bus.flush().await.unwrap();
    let (mut connects, mut connected) = (f.bus.connects(), f.bus.connected());
    let before = *connects.borrow_and_update();
    f.go_down().await;
    within("the loss", connected.wait_for(|up| !up))
        .await
        .unwrap();
    f.come_back().await;
    within("the connection", connects.changed()).await.unwrap();
    // Of several servers another may still stand when one has gone.
    assert!(*connects.borrow() > before);
    within("the event", async {
        // The stream may not lead yet.
        while f.bus.publish(event("doc.a", 1)).await.is_err() {
            look_again().await;
        }
        live.next().await.unwrap()
    })
    .await;
}

pub async fn connected_means_that_reading_and_writing_are(f: Fixture) {
    let (proxy, bus) = f.connect_through_proxy().await;
    let mut connected = bus.connected();
    // By its name the connection that writes is known.
    proxy.bar(" writes\"");
    proxy.reset();
    within("only reading is back", async {
        loop {
            let read = bus.stream_state(&f.events).await.is_ok();
            let written = bus.flush().await;
            if read && !*connected.borrow() && matches!(written, Err(BusError::Disconnected)) {
                return;
            }
            look_again().await;
        }
    })
    .await;
    assert!(bus.publish(event("doc.a", 1)).await.is_err());
    proxy.heal();
    within("the connection", connected.wait_for(|up| *up))
        .await
        .unwrap();
    bus.flush().await.unwrap();
    bus.publish(event("doc.a", 2)).await.unwrap();
}
