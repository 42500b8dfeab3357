//! Atomic batches: all or nothing, whatever is wrong with one of them.

use bus::{BATCH_EVENTS_MAX, BusError};
use bytes::Bytes;
use protocol::bus::{Expect, Outgoing};
use protocol::subject::Kind;

use super::fixture::{Fixture, event, identified, in_store, look_again, subject, within};

pub async fn a_batch_is_contiguous_and_in_order_among_other_publishes(f: Fixture) {
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
        f.level(&f.events).await;
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

pub async fn a_refused_guard_refuses_the_whole_batch(f: Fixture) {
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

pub async fn a_duplicate_refuses_the_whole_batch_and_burns_no_ids(f: Fixture) {
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

pub async fn many_batches_at_once_all_land(f: Fixture) {
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

pub async fn an_id_twice_in_a_batch_refuses_it(f: Fixture) {
    let batch = vec![identified("doc.a", 1), identified("doc.b", 1)];
    let error = f.bus.commit_batch(batch).await.unwrap_err();
    assert!(matches!(error, BusError::Duplicate), "{error}");
    assert_eq!(f.bus.stream_state(&f.events).await.unwrap().last_seq, 0);
    let ack = f.bus.publish(identified("doc.a", 1)).await.unwrap();
    assert!(!ack.duplicate, "the id was burnt");
}

pub async fn a_condition_on_what_its_batch_has_written_is_refused(f: Fixture) {
    let on = |channel, guard| Outgoing {
        expect: guard,
        ..event(channel, 1)
    };
    let subject = |seq| Some(Expect::LastOnSubject(seq));
    let fine = vec![
        on("doc.a", subject(0)),
        on("doc.b", subject(0)),
        on("doc.a", None),
    ];
    assert_eq!(f.bus.commit_batch(fine).await.unwrap().last_seq, 3);
    // Neither what was there before the batch nor what the batch makes of it.
    for guard in [0, 3, 4] {
        let batch = vec![on("doc.c", None), on("doc.c", subject(guard))];
        let error = f.bus.commit_batch(batch).await.unwrap_err();
        assert!(matches!(error, BusError::GuardRefused), "{guard}: {error}");
    }
    assert_eq!(f.bus.stream_state(&f.events).await.unwrap().last_seq, 3);
}

pub async fn no_part_of_a_batch_that_does_not_fit_is_stored(f: Fixture) {
    let events = f.other_store("small", |s| s.max_bytes = 1 << 20).await;
    let large = |n: u64| Outgoing {
        payload: Bytes::from(vec![b'x'; 300_000]),
        ..in_store("small", event("doc.a", n), "doc.a")
    };
    f.bus.publish(large(1)).await.unwrap();
    // The first two would fit.
    let batch = vec![large(2), large(3), large(4)];
    let error = f.bus.commit_batch(batch).await.unwrap_err();
    assert!(matches!(error, BusError::StreamFull), "{error}");
    assert_eq!(f.bus.stream_state(&events).await.unwrap().last_seq, 1);
}

pub async fn batches_left_open_keep_others_out_until_they_are_given_up(f: Fixture) {
    let mut left = 0;
    while f.leave_batch(left, event("doc.a", left)).await {
        left += 1;
        assert!(left <= 50, "more are open than the server allows");
    }
    assert_eq!(left, 50);
    let batch = || vec![event("doc.a", 1), event("doc.a", 2)];
    let error = f.bus.commit_batch(batch()).await.unwrap_err();
    assert!(matches!(error, BusError::BatchBusy), "{error}");
    // One event is no batch.
    assert_eq!(f.bus.publish(event("doc.a", 3)).await.unwrap().seq, 1);
    let ack = within("the end of the batches", async {
        loop {
            match f.bus.commit_batch(batch()).await {
                Err(BusError::BatchBusy) => look_again().await,
                outcome => return outcome,
            }
        }
    });
    assert_eq!(ack.await.unwrap().first_seq, 2);
}
