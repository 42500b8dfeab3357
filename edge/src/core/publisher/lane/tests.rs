//! A lane over the bus's model.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bus::Bus;
use bus::bootstrap::{StoreSettings, bootstrap};
use bus::model::{Model, ModelFaults};
use bytes::Bytes;
use protocol::bus::Outgoing;
use protocol::frame::{Published, StoredIn};
use protocol::header::Headers;
use protocol::lane::Lane;
use protocol::name::{Channel, Tenant};
use protocol::spec::StoreSpec;
use protocol::stream::StreamName;
use protocol::subject::{Kind, Subject};
use service::fault::Faults;
use service::shutdown::Shutdown;
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

use super::super::answer::{Answer, Outcome};
use super::super::intake::Publisher;
use super::super::turns::BATCH_MIN;
use crate::core::draft::Draft;
use crate::core::quota::task::Quotas;

/// Batches that a stream takes at a time (nats-server's default).
const OPEN_MAX: u64 = 50;
/// Writers, and events of each.
const WRITERS: u64 = 8;
const EVENTS: u64 = 4;

fn subject(store: &StoreSpec, channel: &Channel) -> Subject {
    let tenant = Tenant::parse("acme").unwrap();
    Subject::event(Kind::Ev, &store.name, Lane(0), &tenant, channel)
}

fn draft(store: &StoreSpec, writer: u64, n: u64) -> Draft {
    let channel = Channel::parse(&format!("doc.{writer}")).unwrap();
    Draft {
        tenant: Tenant::parse("acme").unwrap(),
        subject: subject(store, &channel),
        channel,
        n,
        id: format!("acme/ann/{writer}/{n}"),
        headers: Headers::new(),
        payload: Bytes::from(format!("{writer}/{n}")),
        stream: StreamName::events(&store.name),
        lane: Lane(0),
        stored_in: StoredIn::Events,
        epoch: store.epoch.clone(),
        first_sent: None,
        expected_seq: None,
    }
}

fn quotas() -> Arc<Quotas> {
    Quotas::new("edge")
}

async fn start() -> (Model, Bus, StoreSpec) {
    let model = Model::start(ModelFaults::default());
    let bus = model.connect("edge");
    let store = bootstrap(&bus, &StoreSettings::default()).await.unwrap();
    (model, bus, store)
}

/// Hands over many events at once; the answers, by writer.
fn submit(publisher: &Publisher, store: &StoreSpec) -> Vec<Vec<oneshot::Receiver<Outcome>>> {
    let mut waiting = Vec::new();
    for writer in 0..WRITERS {
        let handle = publisher.writer();
        let answers = (1..=EVENTS).map(|n| {
            let (answer, receiver) = Answer::waiter();
            publisher.submit(&handle, draft(store, writer, n), answer);
            receiver
        });
        waiting.push(answers.collect());
    }
    waiting
}

#[tokio::test(start_paused = true)]
async fn what_finds_too_many_batches_open_is_stored_singly() {
    const { assert!((WRITERS * EVENTS) as usize >= BATCH_MIN) };
    let (model, bus, store) = start().await;
    let channel = Channel::parse("doc.left").unwrap();
    let left = || Outgoing {
        subject: subject(&store, &channel),
        headers: Headers::new(),
        payload: Bytes::new(),
        msg_id: None,
        expect: None,
    };
    (0..OPEN_MAX).for_each(|_| model.leave_batch(left()).unwrap());
    assert!(model.leave_batch(left()).is_err(), "one more is too many");

    let tasks = TaskTracker::new();
    let publisher = Publisher::new(bus, quotas(), Faults::default(), Shutdown::new(), tasks);
    let mut stored = Vec::new();
    for answers in submit(&publisher, &store) {
        let mut last = 0;
        for answer in answers {
            let outcome = tokio::time::timeout(Duration::from_secs(60), answer).await;
            let published: Published = outcome.unwrap().unwrap().expect("it is stored");
            let seq = published.position.seq;
            assert!(seq > last, "{seq} after {last}: the order of sending");
            last = seq;
            stored.push(seq);
        }
    }
    stored.sort_unstable();
    assert!(
        stored.iter().copied().eq(1..=WRITERS * EVENTS),
        "{stored:?}"
    );
    // They are still open: nothing was stored by waiting for their end.
    assert!(model.leave_batch(left()).is_err());
}

/// The stored events that came at one time with at least so many others: in one batch.
fn in_batches(model: &Model, store: &StoreSpec) -> usize {
    let mut times: HashMap<u64, usize> = HashMap::new();
    for event in model.events(&StreamName::events(&store.name)) {
        *times.entry(event.time_us).or_default() += 1;
    }
    times
        .into_values()
        .filter(|count| *count >= BATCH_MIN)
        .sum()
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_known_takes_few_others_out_of_their_batch() {
    let (model, bus, store) = start().await;
    let publisher = Publisher::new(
        bus,
        quotas(),
        Faults::default(),
        Shutdown::new(),
        TaskTracker::new(),
    );
    let (answer, known) = Answer::waiter();
    publisher.submit(&publisher.writer(), draft(&store, 5, 2), answer);
    let known = known.await.unwrap().expect("it is stored");
    let before = in_batches(&model, &store);
    for (writer, answers) in submit(&publisher, &store).into_iter().enumerate() {
        let mut last = 0;
        for (n, answer) in (1..).zip(answers) {
            let published = answer.await.unwrap().expect("it is stored");
            let seq = published.position.seq;
            let is_known = (writer, n) == (5, 2);
            assert_eq!(published.duplicate, is_known);
            if is_known {
                assert_eq!(seq, known.position.seq);
            } else {
                assert!(seq > last, "{seq} after {last}: the order of sending");
                last = seq;
            }
        }
    }
    let together = in_batches(&model, &store) - before;
    assert!(
        together >= (WRITERS * EVENTS) as usize - 2 * BATCH_MIN,
        "{together}"
    );
}
