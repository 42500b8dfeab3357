//! Readers across everything that can break them.

use bus::{Bus, BusError, Reader, ReaderOptions};
use futures_util::FutureExt;
use protocol::subject::Kind;

use super::fixture::{Fixture, event, look_again, subject, within};

const OPTIONS: ReaderOptions = ReaderOptions {
    batch: 100,
    bytes_max: 1 << 20,
};

async fn publish(bus: &Bus, range: std::ops::Range<u64>) {
    for n in range {
        // While the server is down a publish says so, and is sent again.
        while let Err(error) = bus.publish(event("doc.a", n)).await {
            assert!(error.temporary(), "{error}");
            look_again().await;
        }
    }
}

/// Reads until `last`, and checks that nothing is missing or doubled.
async fn read_to(reader: &mut Reader, from: u64, last: u64) {
    let mut next = from;
    while next <= last {
        for event in within("the next batch", reader.next_batch()).await.unwrap() {
            assert_eq!(event.seq, next);
            next += 1;
        }
    }
}

pub async fn a_reader_yields_each_event_once_in_batches(f: Fixture) {
    for start in 0..12 {
        f.bus
            .commit_batch(
                (start * 500..start * 500 + 500)
                    .map(|n| event("doc.a", n))
                    .collect(),
            )
            .await
            .unwrap();
    }
    let mut reader = f.bus.reader(&f.events, None, 1, OPTIONS).await.unwrap();
    assert_eq!(reader.pending(), 6_000);
    read_to(&mut reader, 1, 6_000).await;
    assert_eq!(reader.pending(), 0);
    let mut reader = f
        .bus
        .reader(&f.events, Some(&subject(Kind::Ev, "doc.a")), 5_000, OPTIONS)
        .await
        .unwrap();
    read_to(&mut reader, 5_000, 6_000).await;
    f.bus.publish(event("doc.b", 1)).await.unwrap();
    f.bus.publish(event("doc.a", 1)).await.unwrap();
    read_to(&mut reader, 6_002, 6_002).await;
}

pub async fn large_events_pass_a_small_bound_of_bytes(f: Fixture) {
    for n in 0..20 {
        let mut large = event("doc.a", n);
        large.payload = vec![b'x'; 900_000].into();
        f.bus.publish(large).await.unwrap();
    }
    let mut reader = f
        .bus
        .reader(
            &f.events,
            None,
            1,
            ReaderOptions {
                batch: 100,
                bytes_max: 1,
            },
        )
        .await
        .unwrap();
    read_to(&mut reader, 1, 20).await;
}

pub async fn a_cancelled_wait_loses_nothing(f: Fixture) {
    let mut reader = f.bus.reader(&f.events, None, 1, OPTIONS).await.unwrap();
    let writer = tokio::spawn({
        let bus = f.bus.clone();
        async move { publish(&bus, 0..500).await }
    });
    let (mut next, mut cancelled) = (1, 0);
    while next <= 500 {
        match reader.next_batch().now_or_never() {
            None => {
                cancelled += 1;
                look_again().await;
            }
            Some(batch) => {
                for event in batch.unwrap() {
                    assert_eq!(event.seq, next);
                    next += 1;
                }
            }
        }
    }
    assert!(cancelled > 0);
    within("the writer", writer).await.unwrap();
}

pub async fn a_reader_survives_the_loss_of_its_consumer(f: Fixture) {
    let mut reader = f.bus.reader(&f.events, None, 1, OPTIONS).await.unwrap();
    publish(&f.bus, 0..150).await;
    read_to(&mut reader, 1, 100).await;
    f.lose_consumers().await;
    publish(&f.bus, 150..300).await;
    let mut next = reader.last_seq() + 1;
    while next <= 300 {
        for event in within("the next batch", reader.next_batch()).await.unwrap() {
            assert_eq!(event.seq, next);
            next += 1;
        }
    }
}

pub async fn a_reader_survives_restarts_of_the_server(mut f: Fixture) {
    let mut reader = f.bus.reader(&f.events, None, 1, OPTIONS).await.unwrap();
    let mut next = 1;
    for round in 0..3 {
        publish(&f.bus, round * 100..round * 100 + 100).await;
        let read = tokio::spawn(async move {
            // A publish whose answer was lost is sent twice here: only order counts.
            while next < (round + 1) * 100 {
                for event in within("the next batch", reader.next_batch()).await.unwrap() {
                    assert_eq!(event.seq, next);
                    next += 1;
                }
            }
            (reader, next)
        });
        f.go_down().await;
        f.come_back().await;
        (reader, next) = within("the reader", read).await.unwrap();
    }
}

pub async fn a_stream_made_anew_is_not_read_as_if_it_were_the_old_one(f: Fixture) {
    publish(&f.bus, 0..10).await;
    let mut reader = f.bus.reader(&f.events, None, 1, OPTIONS).await.unwrap();
    read_to(&mut reader, 1, 10).await;
    f.delete_events().await;
    bus::bootstrap::bootstrap(&f.bus, &f.settings())
        .await
        .unwrap();
    let error = within("the refusal", reader.next_batch())
        .await
        .unwrap_err();
    assert!(
        matches!(error, BusError::StreamChanged { .. } | BusError::NotFound),
        "{error}"
    );
}

pub async fn a_dropped_reader_leaves_no_consumer(f: Fixture) {
    drop(f.bus.reader(&f.events, None, 1, OPTIONS).await.unwrap());
    within("the deletion", async {
        while !f.consumers().await.is_empty() {
            look_again().await;
        }
    })
    .await;
}
