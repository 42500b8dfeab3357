//! Readers across everything that can break them.

use bus::{Bus, BusError, Reader, ReaderOptions};
use futures_util::{FutureExt, TryStreamExt};
use protocol::subject::Kind;

use super::fixture::{Fixture, event, subject, within};

const OPTIONS: ReaderOptions = ReaderOptions {
    batch: 100,
    bytes_max: 1 << 20,
};

async fn publish(bus: &Bus, range: std::ops::Range<u64>) {
    for n in range {
        // While the server is down a publish says so, and is sent again.
        while let Err(error) = bus.publish(event("doc.a", n)).await {
            assert!(error.temporary(), "{error}");
            tokio::task::yield_now().await;
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

async fn consumers(f: &Fixture) -> Vec<String> {
    let context = async_nats::jetstream::new(f.plain().await);
    let stream = context.get_stream(f.events.as_str()).await.unwrap();
    stream.consumer_names().try_collect().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_yields_each_event_once_in_batches() {
    let f = Fixture::start().await;
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_events_pass_a_small_bound_of_bytes() {
    let f = Fixture::start().await;
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_wait_loses_nothing() {
    let f = Fixture::start().await;
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
                tokio::task::yield_now().await;
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_survives_the_loss_of_its_consumer() {
    let f = Fixture::start().await;
    let mut reader = f.bus.reader(&f.events, None, 1, OPTIONS).await.unwrap();
    publish(&f.bus, 0..150).await;
    read_to(&mut reader, 1, 100).await;
    let context = async_nats::jetstream::new(f.plain().await);
    let stream = context.get_stream(f.events.as_str()).await.unwrap();
    let names = consumers(&f).await;
    assert_eq!(names.len(), 1);
    stream.delete_consumer(&names[0]).await.unwrap();
    publish(&f.bus, 150..300).await;
    let mut next = reader.last_seq() + 1;
    while next <= 300 {
        for event in within("the next batch", reader.next_batch()).await.unwrap() {
            assert_eq!(event.seq, next);
            next += 1;
        }
    }
    assert_ne!(consumers(&f).await, names);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_survives_restarts_of_the_server() {
    let mut f = Fixture::start().await;
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
        f.server(|server| {
            server.kill().unwrap();
            server.restart().unwrap();
        })
        .await;
        (reader, next) = within("the reader", read).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_made_anew_is_not_read_as_if_it_were_the_old_one() {
    let f = Fixture::start().await;
    publish(&f.bus, 0..10).await;
    let mut reader = f.bus.reader(&f.events, None, 1, OPTIONS).await.unwrap();
    read_to(&mut reader, 1, 10).await;
    let context = async_nats::jetstream::new(f.plain().await);
    context.delete_stream(f.events.as_str()).await.unwrap();
    bus::bootstrap::bootstrap(&f.bus, &super::fixture::settings())
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_reader_leaves_no_consumer() {
    let f = Fixture::start().await;
    drop(f.bus.reader(&f.events, None, 1, OPTIONS).await.unwrap());
    within("the deletion", async {
        while !consumers(&f).await.is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
