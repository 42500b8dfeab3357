//! The model's own faults: each does what it says, and a run is a function of its
//! seed. The rules of JetStream are held against nats-server in `tests/tests/bus`.

#![allow(clippy::unwrap_used, reason = "a failed step of a test ends it")]

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use protocol::bus::{Outgoing, Stored};
use protocol::header::Headers;
use protocol::lane::Lane;
use protocol::name::{Channel, StoreName, Tenant};
use protocol::stream::{Bucket, StreamName};
use protocol::subject::{Kind, Subject};
use tokio::time::Instant;

use bus::bootstrap::{StoreSettings, bootstrap};
use bus::model::{CLOCK_START_US, Model, ModelFaults};
use bus::{Bus, BusError, ReaderOptions};

const OPTIONS: ReaderOptions = ReaderOptions {
    batch: 16,
    bytes_max: 1 << 20,
};

fn subject(kind: Kind, channel: &str) -> Subject {
    let (tenant, channel) = (Tenant::parse("acme"), Channel::parse(channel));
    let store = StoreSettings::default().name;
    Subject::event(kind, &store, Lane(0), &tenant.unwrap(), &channel.unwrap())
}

fn event(n: u64) -> Outgoing {
    Outgoing {
        subject: subject(Kind::Ev, "doc.a"),
        headers: Headers::new(),
        payload: Bytes::from(n.to_string()),
        msg_id: None,
        expect: None,
    }
}

fn events() -> StreamName {
    StreamName::events(&StoreName::parse("main").unwrap())
}

/// A model with a store and no faults, and two processes.
async fn start() -> (Model, Bus, Bus) {
    let model = Model::start(ModelFaults::default());
    let (one, two) = (model.connect("one"), model.connect("two"));
    bootstrap(&one, &StoreSettings::default()).await.unwrap();
    (model, one, two)
}

fn with(change: fn(&mut ModelFaults)) -> ModelFaults {
    let mut faults = ModelFaults::default();
    change(&mut faults);
    faults
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_leaves_the_event_and_a_lost_request_does_not() {
    let (model, one, _) = start().await;
    model.set_faults(with(|faults| faults.reply_lost = 1.0));
    assert!(matches!(
        one.publish(event(1)).await,
        Err(BusError::Timeout)
    ));
    assert_eq!(model.events(&events()).len(), 1);
    let batch = vec![event(2), event(3)];
    assert!(matches!(
        one.commit_batch(batch.clone()).await,
        Err(BusError::Timeout)
    ));
    assert_eq!(model.events(&events()).len(), 3);
    model.set_faults(with(|faults| faults.request_lost = 1.0));
    assert!(matches!(
        one.publish(event(4)).await,
        Err(BusError::Timeout)
    ));
    // Without its first message the commit finds no batch; without its last, nothing
    // is answered.
    let error = one.commit_batch(batch).await.unwrap_err();
    assert!(
        matches!(error, BusError::BatchAbandoned | BusError::Timeout),
        "{error}"
    );
    assert_eq!(model.events(&events()).len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_refused_request_was_not_sent() {
    let (model, one, _) = start().await;
    model.set_faults(with(|faults| faults.refused = 1.0));
    for _ in 0..3 {
        let error = one.publish(event(1)).await.unwrap_err();
        assert!(matches!(error, BusError::Disconnected), "{error}");
    }
    assert_eq!(model.events(&events()), []);
}

#[tokio::test(start_paused = true)]
async fn a_cut_that_is_healed_in_time_delays_and_one_that_is_noticed_loses() {
    let (model, one, two) = start().await;
    model.cut("one");
    let late = one.publish_start(event(1)).await.unwrap();
    assert!(two.publish(event(2)).await.is_ok(), "the other is not cut");
    assert!(*one.connected().borrow(), "noticed at once");
    model.heal("one");
    assert_eq!(late.await.unwrap().seq, 2);
    assert_eq!(*one.connects().borrow(), 1);

    model.cut("one");
    let lost = one.publish_start(event(3)).await.unwrap();
    assert!(matches!(lost.await, Err(BusError::Timeout)));
    one.connected().wait_for(|up| !up).await.unwrap();
    let error = one.publish(event(4)).await.unwrap_err();
    assert!(matches!(error, BusError::Disconnected), "{error}");
    model.heal("one");
    assert_eq!(*one.connects().borrow(), 2);
    assert_eq!(one.publish(event(5)).await.unwrap().seq, 3);
}

#[tokio::test(start_paused = true)]
async fn a_broken_connection_stands_again_by_itself() {
    let (model, one, _) = start().await;
    model.set_faults(with(|faults| faults.broken = 1.0));
    assert!(matches!(
        one.publish(event(1)).await,
        Err(BusError::Timeout)
    ));
    model.set_faults(ModelFaults::default());
    one.connected().wait_for(|up| *up).await.unwrap();
    assert_eq!(*one.connects().borrow(), 2);
    assert_eq!(one.publish(event(2)).await.unwrap().seq, 1);
}

#[tokio::test(start_paused = true)]
async fn a_deposed_leader_answers_what_it_had_and_only_for_a_while() {
    let (model, one, _) = start().await;
    one.publish(event(1)).await.unwrap();
    model.freeze_leader(events().as_str(), Duration::from_secs(3));
    one.publish(event(2)).await.unwrap();
    let mut seen = std::collections::BTreeSet::new();
    // A process of its own for each look: one that knows more believes no less.
    for _ in 0..64 {
        let other = model.connect("other");
        seen.insert(other.stream_state(&events()).await.unwrap().last_seq);
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), [1, 2]);
    tokio::time::sleep(Duration::from_secs(3)).await;
    for _ in 0..64 {
        assert_eq!(one.stream_state(&events()).await.unwrap().last_seq, 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_deposed_leader_of_a_bucket_tells_the_old_value() {
    let (model, one, _) = start().await;
    let kv = one.kv(Bucket::Leases).await.unwrap();
    let first = kv.create("lane", Bytes::from_static(b"1")).await.unwrap();
    model.freeze_leader("KV_LEASES", Duration::from_secs(3));
    kv.update("lane", Bytes::from_static(b"2"), first)
        .await
        .unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..64 {
        seen.insert(kv.get("lane").await.unwrap().unwrap().0);
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["1", "2"]);
    let error = kv.update("lane", Bytes::new(), first).await.unwrap_err();
    assert!(matches!(error, BusError::Conflict), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_follower_lags_by_a_bound_and_never_goes_back() {
    let (model, one, _) = start().await;
    for n in 1..=100 {
        one.publish(event(n)).await.unwrap();
    }
    model.set_faults(with(|faults| {
        faults.lag = 1.0;
        faults.lag_events = 8;
    }));
    let last = || async {
        let found = one
            .last_seqs(&events(), &[subject(Kind::Ev, "doc.a")])
            .await
            .unwrap();
        found[0].1
    };
    let mut before = 0;
    let mut lagged = false;
    for n in 101..=200 {
        one.publish(event(n)).await.unwrap();
        let seq = last().await;
        assert!(
            seq >= before && seq + 8 >= n,
            "{seq} after {n} and {before}"
        );
        (before, lagged) = (seq, lagged || seq < n);
    }
    assert!(lagged, "it never lagged");
    assert_eq!(one.stream_state(&events()).await.unwrap().last_seq, 200);
    tokio::time::sleep(ModelFaults::default().lag_for).await;
    assert_eq!(last().await, 200);
}

#[tokio::test(start_paused = true)]
async fn what_a_bucket_holds_is_listed_whole_by_a_follower_that_lags() {
    let (model, one, _) = start().await;
    let kv = one.kv(Bucket::Config).await.unwrap();
    model.set_faults(with(|faults| faults.lag = 1.0));
    for n in 0_u64..40 {
        let revision = kv.put("often", n.to_string().into()).await.unwrap();
        let gone = kv.put("gone", Bytes::new()).await.unwrap();
        kv.delete("gone", gone).await.unwrap();
        let mut entries = kv.entries().await.unwrap();
        entries.retain(|(key, ..)| !key.starts_with("store."));
        let often = ("often".to_owned(), Bytes::from(n.to_string()), revision);
        assert_eq!(entries, [often]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_without_a_leader_says_so_and_has_given_up_its_batches() {
    let (model, one, _) = start().await;
    for n in 0..50 {
        model.leave_batch(event(n)).unwrap();
    }
    let busy = one.commit_batch(vec![event(1), event(2)]).await;
    assert!(matches!(busy, Err(BusError::BatchBusy)));
    model.change_leader(events().as_str(), Duration::from_secs(1));
    let error = one.publish(event(1)).await.unwrap_err();
    assert!(matches!(error, BusError::NoStream), "{error}");
    let error = one.stream_state(&events()).await.unwrap_err();
    assert!(error.temporary(), "{error}");
    tokio::time::sleep(Duration::from_secs(1)).await;
    one.commit_batch(vec![event(1), event(2)]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn deliveries_are_lost_and_doubled() {
    let (model, one, _) = start().await;
    let mut live = one.subscribe(&subject(Kind::Fan, "doc.a")).await.unwrap();
    one.flush().await.unwrap();
    model.set_faults(with(|faults| faults.delivery_doubled = 1.0));
    one.publish(event(1)).await.unwrap();
    model.set_faults(with(|faults| faults.delivery_lost = 1.0));
    one.publish(event(2)).await.unwrap();
    model.set_faults(ModelFaults::default());
    one.publish(event(3)).await.unwrap();
    for seq in [1, 1, 3] {
        let heard = live.next().await.unwrap().republished.unwrap();
        assert_eq!(heard.stream_seq, seq);
    }
}

#[tokio::test(start_paused = true)]
async fn time_is_virtual_and_the_clock_can_be_set() {
    let (model, one, _) = start().await;
    let began = Instant::now();
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    let at = |event: Option<Stored>| event.unwrap().time_us;
    one.publish(event(1)).await.unwrap();
    let first = at(one.get(&events(), 1).await.unwrap());
    assert!(first - CLOCK_START_US >= 3_600_000_000);
    model.step_clock(-1_800_000_000);
    one.publish(event(2)).await.unwrap();
    assert!(at(one.get(&events(), 2).await.unwrap()) < first);
    model.step_clock(8 * 24 * 3_600_000_000);
    assert_eq!(one.get(&events(), 1).await.unwrap(), None, "age");
    assert!(began.elapsed() < Duration::from_secs(3_700));
}

/// Between two attempts.
async fn pause() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

/// Two writers and a reader under every fault at once; the log and what was read.
async fn rough(seed: u64) -> (Vec<Stored>, Vec<u64>) {
    let model = Model::start(ModelFaults {
        seed,
        ..ModelFaults::default()
    });
    let (one, two) = (model.connect("one"), model.connect("two"));
    bootstrap(&one, &StoreSettings::default()).await.unwrap();
    model.set_faults(ModelFaults::rough(seed));
    let write = |bus: Bus, from: u64| async move {
        for n in from..from + 200 {
            // What may have happened is not sent again.
            while bus
                .publish(event(n))
                .await
                .is_err_and(|error| !error.outcome_unknown())
            {
                pause().await;
            }
        }
    };
    let read = async {
        let mut reader = loop {
            match two.reader(&events(), None, 1, OPTIONS).await {
                Ok(reader) => break reader,
                Err(error) => {
                    assert!(error.temporary(), "{error}");
                    pause().await;
                }
            }
        };
        let mut seqs = Vec::new();
        while seqs.len() < 300 {
            let batch = reader.next_batch().await.unwrap();
            seqs.extend(batch.iter().map(|event| event.seq));
        }
        seqs
    };
    let (_, _, seqs) = tokio::join!(write(one.clone(), 0), write(two.clone(), 1_000), read);
    (model.events(&events()), seqs)
}

#[test]
fn a_run_is_a_function_of_its_seed() {
    let run = |seed| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(rough(seed))
    };
    let (first, second, other) = (run(7), run(7), run(8));
    assert_eq!(first, second);
    assert_ne!(first.0, other.0);
    assert!(first.1.iter().copied().eq(1..=first.1.len() as u64));
}
