//! Publishing one event: what is stored, what is refused, and how much it takes.

use bus::BusError;
use bytes::Bytes;
use harness::Direction;
use protocol::bus::{Expect, Outgoing};
use protocol::header::Headers;
use protocol::subject::Kind;

use super::fixture::{Fixture, event, identified, in_store, look_again, subject, within};

pub async fn a_publish_is_stored_once_however_often_it_is_sent(f: Fixture) {
    let first = f.bus.publish(identified("doc.a", 1)).await.unwrap();
    let again = f.bus.publish(identified("doc.a", 1)).await.unwrap();
    assert_eq!(
        (first.seq, first.duplicate, &first.stream),
        (1, false, &f.events)
    );
    assert_eq!((again.seq, again.duplicate), (1, true));
    assert_eq!(f.bus.stream_state(&f.events).await.unwrap().last_seq, 1);
}

pub async fn the_order_of_calls_is_the_order_of_the_stream(f: Fixture) {
    let mut acks = Vec::new();
    for n in 0..3_000 {
        acks.push(f.bus.publish_start(event("doc.a", n)).await.unwrap());
    }
    for (n, ack) in acks.into_iter().enumerate() {
        assert_eq!(ack.await.unwrap().seq, n as u64 + 1);
    }
}

pub async fn what_cannot_be_stored_is_refused_by_name(f: Fixture) {
    let mut large = event("doc.a", 1);
    large.payload = Bytes::from(vec![0; f.bus.max_payload() + 1]);
    assert!(matches!(
        f.bus.publish(large.clone()).await,
        Err(BusError::TooLarge { .. })
    ));
    assert!(matches!(
        f.bus.commit_batch(vec![event("doc.a", 2), large]).await,
        Err(BusError::TooLarge { .. })
    ));
    let nowhere = Outgoing {
        subject: subject(Kind::Req, "doc.a"),
        ..event("doc.a", 1)
    };
    let error = f.bus.publish(nowhere).await.unwrap_err();
    assert!(matches!(error, BusError::NoStream) && error.temporary() && !error.outcome_unknown());
    let mut guarded = event("doc.a", 1);
    guarded.expect = Some(Expect::LastOnSubject(5));
    assert!(matches!(
        f.bus.publish(guarded.clone()).await,
        Err(BusError::GuardRefused)
    ));
    guarded.expect = Some(Expect::LastOnSubject(0));
    assert_eq!(f.bus.publish(guarded).await.unwrap().seq, 1);
}

pub async fn a_lost_connection_is_said_and_found_again(mut f: Fixture) {
    f.bus.publish(event("doc.a", 1)).await.unwrap();
    let mut connected = f.bus.connected();
    f.go_down().await;
    within("the loss", connected.wait_for(|up| !up))
        .await
        .unwrap();
    // Whichever of reading and writing went first: what was handed over to a connection
    // that is about to be noticed as broken has an unknown outcome.
    let error = within("the refusal", async {
        loop {
            match f.bus.publish(event("doc.a", 2)).await.unwrap_err() {
                error @ BusError::Disconnected => return error,
                error => assert!(error.temporary(), "{error}"),
            }
        }
    })
    .await;
    assert!(error.temporary() && !error.outcome_unknown());
    assert!(matches!(
        f.bus.commit_batch(vec![event("doc.a", 3); 2]).await,
        Err(BusError::Disconnected)
    ));
    f.come_back().await;
    within("the connection", connected.wait_for(|up| *up))
        .await
        .unwrap();
    assert_eq!(
        within("the publish", f.bus.publish(event("doc.a", 4)))
            .await
            .unwrap()
            .seq,
        2
    );
}

/// Events that are handed over while nothing gets through: more than all sockets on the
/// way hold, so that most of them wait in the client.
const HELD_EVENTS: u64 = 400;
/// Bytes of each.
const HELD_BYTES: usize = 60_000;
/// Round trips in which what must not arrive could.
const ROUND_TRIPS: usize = 500;

pub async fn what_waited_for_a_broken_connection_is_never_sent(f: Fixture) {
    let (proxy, bus) = f.connect_through_proxy().await;
    proxy.hold(&Direction::BOTH);
    let mut acks = Vec::new();
    for n in 0..HELD_EVENTS {
        let payload = Bytes::from(vec![b'x'; HELD_BYTES]);
        let held = Outgoing {
            payload,
            ..event("doc.a", n)
        };
        acks.push(bus.publish_start(held).await.unwrap());
    }
    // What has left the client is lost, and so are both connections.
    proxy.reset();
    for ack in acks {
        let error = within("the end of the wait", ack).await.unwrap_err();
        assert!(error.outcome_unknown(), "{error}");
    }
    proxy.heal();
    within("the connection", async {
        while bus.flush().await.is_err() {
            look_again().await;
        }
    })
    .await;
    for _ in 0..ROUND_TRIPS {
        f.bus.flush().await.unwrap();
        look_again().await;
    }
    let next = bus.publish(event("doc.a", HELD_EVENTS)).await.unwrap();
    assert_eq!(next.seq, 1, "nothing was stored late");
}

pub async fn a_full_stream_refuses_and_keeps_what_it_has(f: Fixture) {
    let events = f.other_store("small", |s| s.max_bytes = 1 << 20).await;
    let large = |n: u64| Outgoing {
        payload: Bytes::from(vec![b'x'; 400_000]),
        ..in_store("small", event("doc.a", n), "doc.a")
    };
    f.bus.commit_batch(vec![large(1), large(2)]).await.unwrap();
    for error in [
        f.bus.publish(large(3)).await.unwrap_err(),
        f.bus
            .commit_batch(vec![large(3), large(4)])
            .await
            .unwrap_err(),
    ] {
        assert!(
            matches!(error, BusError::StreamFull) && error.temporary(),
            "{error:?}"
        );
    }
    assert_eq!(f.bus.stream_state(&events).await.unwrap().last_seq, 2);
    let mut small = in_store("small", event("doc.a", 5), "doc.a");
    small.payload = Bytes::from_static(b"fits");
    assert_eq!(f.bus.publish(small).await.unwrap().seq, 3);
}

pub async fn a_known_id_meets_its_condition_before_or_after(f: Fixture) {
    f.bus.publish(identified("doc.a", 1)).await.unwrap();
    let mut again = identified("doc.a", 1);
    again.expect = Some(Expect::LastOnSubject(7));
    // One server looks at the condition first, several at the id.
    match f.bus.publish(again).await {
        Err(BusError::GuardRefused) => assert_eq!(f.replicas, 1),
        Ok(ack) => assert_eq!((f.replicas, ack.seq, ack.duplicate), (3, 1, true)),
        Err(error) => panic!("{error}"),
    }
    // Also on another subject: the id alone counts.
    let ack = f.bus.publish(identified("doc.b", 1)).await.unwrap();
    assert_eq!((ack.seq, ack.duplicate), (1, true));
    // A refusal remembers nothing.
    let mut refused = identified("doc.a", 2);
    refused.expect = Some(Expect::LastOnSubject(7));
    let error = f.bus.publish(refused).await.unwrap_err();
    assert!(matches!(error, BusError::GuardRefused), "{error}");
    let ack = f.bus.publish(identified("doc.a", 2)).await.unwrap();
    assert_eq!((ack.seq, ack.duplicate), (2, false));
}

pub async fn a_condition_on_the_stream_is_its_last_sequence(f: Fixture) {
    f.bus.publish(event("doc.a", 1)).await.unwrap();
    f.bus.publish(event("doc.b", 2)).await.unwrap();
    let guarded = |guard| Outgoing {
        expect: Some(guard),
        ..event("doc.a", 3)
    };
    for wrong in [
        Expect::LastInStream(1),
        Expect::LastInStream(3),
        Expect::LastOnSubject(2),
        Expect::LastOnSubject(0),
    ] {
        let error = f.bus.publish(guarded(wrong)).await.unwrap_err();
        assert!(matches!(error, BusError::GuardRefused), "{wrong:?}");
    }
    for (seq, right) in [(3, Expect::LastInStream(2)), (4, Expect::LastOnSubject(3))] {
        assert_eq!(f.bus.publish(guarded(right)).await.unwrap().seq, seq);
    }
}

pub async fn headers_are_checked_trimmed_and_sorted(f: Fixture) {
    let with = |headers: &[(&'static str, &str)]| {
        let mut out = event("doc.a", 1);
        out.headers = Headers::new();
        for (name, value) in headers {
            out.headers.push(name, *value);
        }
        out
    };
    let sent = with(&[("eddy-z", "1"), ("eddy-a", " two "), ("eddy-z", "")]);
    let seq = f.bus.publish(sent).await.unwrap().seq;
    f.level(&f.events).await;
    let got = f.bus.get(&f.events, seq).await.unwrap().unwrap();
    assert_eq!(
        got.headers.iter().collect::<Vec<_>>(),
        [("eddy-a", "two"), ("eddy-z", "1"), ("eddy-z", "")]
    );
    for wrong in [
        with(&[("eddy a", "")]),
        with(&[("eddy:a", "")]),
        with(&[("eddy-a", "1\r\n2")]),
    ] {
        let error = f.bus.publish(wrong).await.map(|ack| ack.seq).unwrap_err();
        assert!(matches!(error, BusError::Header { .. }), "{error}");
    }
}

pub async fn bytes_are_counted_as_the_store_counts_them(f: Fixture) {
    let mut before = 0;
    let mut grown = async || {
        let bytes = f.bus.stream_state(&f.events).await.unwrap().bytes;
        bytes - std::mem::replace(&mut before, bytes)
    };
    // A record of 30 bytes, the length of the headers, subject, headers, payload.
    let subject = subject(Kind::Ev, "doc.a").as_str().len() as u64;
    let headers = 12 + ("eddy-id: acme/ann/c/1\r\neddy-publisher: ann/c\r\n".len() as u64);
    let plain = 30 + 4 + subject + headers + 1;
    f.bus.publish(event("doc.a", 1)).await.unwrap();
    assert_eq!(grown().await, plain);
    f.bus.publish(identified("doc.a", 1)).await.unwrap();
    assert_eq!(grown().await, plain + "Nats-Msg-Id: id-1\r\n".len() as u64);
    let mut guarded = event("doc.a", 1);
    guarded.expect = Some(Expect::LastOnSubject(2));
    f.bus.publish(guarded).await.unwrap();
    let guard = "Nats-Expected-Last-Subject-Sequence: 2\r\n".len() as u64;
    assert_eq!(grown().await, plain + guard);
    f.bus
        .commit_batch(vec![event("doc.a", 1), event("doc.a", 2)])
        .await
        .unwrap();
    let batch = "Nats-Batch-Id: \r\nNats-Batch-Sequence: 1\r\n".len() as u64 + 32;
    let commit = "Nats-Batch-Commit: 1\r\n".len() as u64;
    assert_eq!(grown().await, 2 * (plain + batch) + commit);
}
