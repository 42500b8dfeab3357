//! Publishing and batches, the bootstrap, modules.

use bus::bootstrap::{BootstrapError, StoreSettings, bootstrap};
use bus::{BATCH_EVENTS_MAX, BusError};
use bytes::Bytes;
use protocol::bus::{Expect, Outgoing};
use protocol::subject::{Kind, Subject};

use super::fixture::{Fixture, event, identified, settings, subject, within};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publish_is_stored_once_however_often_it_is_sent() {
    let f = Fixture::start().await;
    let first = f.bus.publish(identified("doc.a", 1)).await.unwrap();
    let again = f.bus.publish(identified("doc.a", 1)).await.unwrap();
    assert_eq!(
        (first.seq, first.duplicate, &first.stream),
        (1, false, &f.events)
    );
    assert_eq!((again.seq, again.duplicate), (1, true));
    assert_eq!(f.bus.stream_state(&f.events).await.unwrap().last_seq, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_order_of_calls_is_the_order_of_the_stream() {
    let f = Fixture::start().await;
    let mut acks = Vec::new();
    for n in 0..3_000 {
        acks.push(f.bus.publish_start(event("doc.a", n)).await.unwrap());
    }
    for (n, ack) in acks.into_iter().enumerate() {
        assert_eq!(ack.await.unwrap().seq, n as u64 + 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_stored_is_refused_by_name() {
    let f = Fixture::start().await;
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_is_contiguous_and_in_order_among_other_publishes() {
    let f = Fixture::start().await;
    let noise = tokio::spawn({
        let bus = f.bus.clone();
        async move {
            for n in 0.. {
                if bus.publish(event("noise", n)).await.is_err() {
                    return;
                }
            }
        }
    });
    for (round, length) in [1, 2, 3, 100, BATCH_EVENTS_MAX].into_iter().enumerate() {
        let batch = (0..length as u64)
            .map(|n| event(&format!("doc.{round}"), n))
            .collect();
        let ack = within("the batch", f.bus.commit_batch(batch))
            .await
            .unwrap();
        assert_eq!(ack.last_seq - ack.first_seq + 1, length as u64);
        let chunk = f
            .bus
            .next_on(
                &f.events,
                &subject(Kind::Ev, &format!("doc.{round}")),
                1,
                2_000,
                8 << 20,
            )
            .await
            .unwrap();
        let found: Vec<_> = chunk
            .events
            .iter()
            .map(|e| (e.seq, e.payload.clone()))
            .collect();
        let sent: Vec<_> = (0..length as u64)
            .map(|n| (ack.first_seq + n, Bytes::from(n.to_string())))
            .collect();
        assert_eq!(found, sent);
    }
    noise.abort();
    let long = (0..BATCH_EVENTS_MAX as u64 + 1)
        .map(|n| event("doc.long", n))
        .collect();
    assert!(matches!(
        f.bus.commit_batch(long).await,
        Err(BusError::BatchSize { events: 1_001, .. })
    ));
    assert!(matches!(
        f.bus.commit_batch(Vec::new()).await,
        Err(BusError::BatchSize { events: 0, .. })
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_guard_refuses_the_whole_batch() {
    let f = Fixture::start().await;
    let batch = |guard| {
        let mut last = event("check", 3);
        last.expect = Some(Expect::LastOnSubject(guard));
        vec![event("doc.a", 1), event("doc.b", 2), last]
    };
    let first = f.bus.commit_batch(batch(0)).await.unwrap();
    let error = f.bus.commit_batch(batch(0)).await.unwrap_err();
    assert!(
        matches!(error, BusError::GuardRefused) && !error.temporary() && !error.outcome_unknown()
    );
    assert_eq!(
        f.bus.stream_state(&f.events).await.unwrap().last_seq,
        first.last_seq
    );
    let second = f.bus.commit_batch(batch(first.last_seq)).await.unwrap();
    assert_eq!(second.first_seq, first.last_seq + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_duplicate_refuses_the_whole_batch_and_burns_no_ids() {
    let f = Fixture::start().await;
    f.bus.publish(identified("doc.a", 2)).await.unwrap();
    let batch = vec![
        identified("doc.a", 1),
        identified("doc.a", 2),
        identified("doc.a", 3),
    ];
    assert!(matches!(
        f.bus.commit_batch(batch).await,
        Err(BusError::Duplicate)
    ));
    assert_eq!(f.bus.stream_state(&f.events).await.unwrap().last_seq, 1);
    for n in [1, 3] {
        assert!(
            !f.bus
                .publish(identified("doc.a", n))
                .await
                .unwrap()
                .duplicate,
            "id {n} was burnt"
        );
    }
    assert!(matches!(
        f.bus.commit_batch(vec![identified("doc.a", 1)]).await,
        Err(BusError::Duplicate)
    ));
    // An id that a batch stored is remembered, too.
    f.bus
        .commit_batch(vec![identified("doc.a", 10), identified("doc.a", 11)])
        .await
        .unwrap();
    assert!(
        f.bus
            .publish(identified("doc.a", 10))
            .await
            .unwrap()
            .duplicate
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_batches_at_once_all_land() {
    let f = Fixture::start().await;
    let tasks: Vec<_> = (0..40u64)
        .map(|task| {
            let bus = f.bus.clone();
            tokio::spawn(async move {
                bus.commit_batch((0..20).map(|n| event(&format!("t{task}"), n)).collect())
                    .await
            })
        })
        .collect();
    for task in tasks {
        within("the batch", task).await.unwrap().unwrap();
    }
    assert_eq!(f.bus.stream_state(&f.events).await.unwrap().last_seq, 800);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_connection_is_said_and_found_again() {
    let mut f = Fixture::start().await;
    f.bus.publish(event("doc.a", 1)).await.unwrap();
    let mut connected = f.bus.connected();
    f.server(|server| server.kill().unwrap()).await;
    within("the loss", connected.wait_for(|up| !up))
        .await
        .unwrap();
    let error = f.bus.publish(event("doc.a", 2)).await.unwrap_err();
    assert!(
        matches!(error, BusError::Disconnected) && error.temporary() && !error.outcome_unknown()
    );
    assert!(matches!(
        f.bus.commit_batch(vec![event("doc.a", 3); 2]).await,
        Err(BusError::Disconnected)
    ));
    f.server(|server| server.restart().unwrap()).await;
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bootstrap_repeats_and_tells_differences() {
    let f = Fixture::start().await;
    let spec = bootstrap(&f.bus, &settings()).await.unwrap();
    let same = settings();
    let (one, two) = tokio::join!(bootstrap(&f.bus, &same), bootstrap(&f.bus, &same));
    assert_eq!((&one.unwrap(), &two.unwrap()), (&spec, &spec));
    let other = StoreSettings {
        events_max_age: settings().events_max_age * 2,
        ..settings()
    };
    let Err(BootstrapError::Differs(differences)) = bootstrap(&f.bus, &other).await else {
        panic!("accepted")
    };
    let told: Vec<_> = differences.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        ["EVENTS-main max_age: configured 1209600s, found 604800s"]
    );
    let other = StoreSettings {
        lanes: 5,
        ..settings()
    };
    let error = bootstrap(&f.bus, &other).await.unwrap_err().to_string();
    assert!(error.contains("lanes: configured 5, found 4"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_store_shares_the_buckets() {
    let f = Fixture::start().await;
    let other = StoreSettings {
        name: protocol::name::StoreName::parse("other").unwrap(),
        lanes: 2,
        ..settings()
    };
    let spec = bootstrap(&f.bus, &other).await.unwrap();
    assert_ne!(
        spec.epoch,
        bootstrap(&f.bus, &settings()).await.unwrap().epoch
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn modules_round_trip() {
    let f = Fixture::start().await;
    let wasm: Bytes = (0..700_000u32)
        .flat_map(u32::to_le_bytes)
        .collect::<Vec<_>>()
        .into();
    let digest = f.bus.put_module(wasm.clone()).await.unwrap();
    assert_eq!(f.bus.put_module(wasm.clone()).await.unwrap(), digest);
    assert_eq!(f.bus.get_module(&digest).await.unwrap(), wasm);
    let unknown = protocol::checkpoint::Digest::from_bytes([7; 32]);
    assert!(matches!(
        f.bus.get_module(&unknown).await,
        Err(BusError::NotFound)
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_stream_refuses_and_keeps_what_it_has() {
    let f = Fixture::start().await;
    let small = StoreSettings {
        name: protocol::name::StoreName::parse("small").unwrap(),
        max_bytes: 1 << 20,
        ..settings()
    };
    bootstrap(&f.bus, &small).await.unwrap();
    let large = |n: u64| {
        let lane = protocol::lane::Lane(0);
        let (tenant, channel) = (
            protocol::name::Tenant::parse("acme").unwrap(),
            protocol::name::Channel::parse("doc.a").unwrap(),
        );
        Outgoing {
            subject: Subject::event(Kind::Ev, &small.name, lane, &tenant, &channel),
            payload: Bytes::from(vec![b'x'; 400_000]),
            ..event("doc.a", n)
        }
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
    let events = protocol::stream::StreamName::events(&small.name);
    assert_eq!(f.bus.stream_state(&events).await.unwrap().last_seq, 2);
}
