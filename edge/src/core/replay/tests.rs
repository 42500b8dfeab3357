//! Replays over the bus's model, with answers that break off.

use std::sync::Arc;
use std::time::Duration;

use bus::Bus;
use bus::bootstrap::{StoreSettings, bootstrap};
use bus::model::{Model, ModelFaults};
use bytes::Bytes;
use protocol::bus::Outgoing;
use protocol::envelope::Envelope;
use protocol::frame::{Encoding, Named, Start, decode_from_server};
use protocol::lane::Lane;
use protocol::name::{Channel, Tenant};
use protocol::spec::StoreSpec;
use protocol::subject::{Kind, Subject};
use service::fault::Faults;
use service::shutdown::Shutdown;
use tokio_util::task::TaskTracker;

use super::{Replays, attach};
use crate::core::directory::Place;
use crate::core::feed::relay::{FeedKey, Subscriber};
use crate::core::feed::sources::Sources;
use crate::core::namespaces::Namespaces;
use crate::core::port::Port;
use crate::core::registry::Feeds;
use crate::core::request::Request;
use crate::core::run::Form;
use crate::core::wants::Wants;
use shares::budget::Budget;

/// Events of the channel, and bytes of each: one answer of the stream ends by its bytes,
/// in the middle of what is pushed in one go, and the feed keeps only the last of them.
const EVENTS: u64 = 300;
const EVENT_BYTES: usize = 60_000;
/// Seeds of the faults.
const SEEDS: u64 = 8;
/// Room for a few of them, so that reading goes on only as they are taken.
const OUTBOX_BYTES: usize = 1 << 20;
/// Pause between two looks, of virtual time.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// Looks until everything must have come.
const LOOKS_MAX: u32 = 10_000;

fn tenant() -> Tenant {
    Tenant::parse("acme").unwrap()
}

fn channel() -> Channel {
    Channel::parse("doc.a").unwrap()
}

async fn publish(bus: &Bus, store: &StoreSpec) {
    for n in 1..=EVENTS {
        let envelope = Envelope {
            id: format!("acme/ann/c/{n}"),
            ..Envelope::default()
        };
        let event = Outgoing {
            subject: Subject::event(Kind::Ev, &store.name, Lane(0), &tenant(), &channel()),
            headers: envelope.to_headers(),
            payload: Bytes::from(vec![b'x'; EVENT_BYTES]),
            msg_id: None,
            expect: None,
        };
        bus.publish(event).await.unwrap();
    }
}

/// A subscription from the first event on; what it is sent comes into its port.
fn subscribe(bus: &Bus, store: &StoreSpec) -> Arc<Port> {
    let sources = Sources {
        bus: bus.clone(),
        namespaces: Arc::new(Namespaces::default()),
        faults: Faults::default(),
        stop: Shutdown::new(),
    };
    let feeds = Feeds::new(sources, TaskTracker::new());
    let place = Place::plain(store.name.clone(), store.epoch.clone(), Lane(0));
    let key = FeedKey {
        tenant: tenant(),
        channel: channel(),
    };
    let guard = Arc::new(feeds.acquire(key, &place, 1));
    let port = Arc::new(Port::new(OUTBOX_BYTES, &Budget::new(1 << 30), Form::Joined));
    let subscriber = Subscriber {
        id: 1,
        port: port.clone(),
        encoding: Encoding::Msgpack,
        wants: Wants::default(),
    };
    let request = Request {
        command: 1,
        id: 1,
        tenant: tenant(),
        channel: channel(),
        place,
        start: Start::Named(Named::Earliest),
        wants: Wants::default(),
        credit: None,
        seating: None,
    };
    let replays = Replays::new(bus.clone(), LOOK_INTERVAL);
    tokio::spawn(attach(replays, (guard, None), subscriber, request));
    port
}

/// Sequence and predecessor of each event, as the client is told. Once the first ones
/// are there, every second request of the node is refused.
async fn links(model: &Model, faults: &ModelFaults, port: &Port) -> Vec<(u64, u64)> {
    let mut links = Vec::new();
    for _ in 0..LOOKS_MAX {
        tokio::time::sleep(LOOK_INTERVAL).await;
        let mut frames = Vec::new();
        port.take(usize::MAX, |frame| frames.push(frame));
        for frame in frames {
            let (read, error) = decode_from_server(Encoding::Msgpack, &frame);
            assert!(error.is_none(), "{error:?}");
            let events = read.into_iter().filter_map(|frame| frame.event);
            links.extend(events.map(|event| (event.seq, event.prev)));
            port.written(frame.len());
        }
        if links.last().is_some_and(|(seq, _)| *seq == EVENTS) {
            break;
        }
        if !links.is_empty() {
            let refused = 0.5;
            let faults = faults.clone();
            model.set_faults(ModelFaults { refused, ..faults });
        }
    }
    links
}

#[tokio::test(start_paused = true)]
async fn the_chain_is_whole_however_often_reading_it_fails() {
    let mut refused = 0;
    for seed in 1..=SEEDS {
        let faults = ModelFaults {
            seed,
            ..ModelFaults::default()
        };
        let model = Model::start(faults.clone());
        let bus = model.connect("edge");
        let store = bootstrap(&bus, &StoreSettings::default()).await.unwrap();
        publish(&bus, &store).await;
        let port = subscribe(&bus, &store);
        let links = links(&model, &faults, &port).await;
        let whole = (1..=EVENTS).map(|seq| (seq, seq - 1));
        assert!(links.iter().copied().eq(whole), "seed {seed}: {links:?}");
        refused += model.happened().get("refused").copied().unwrap_or(0);
    }
    assert!(refused > SEEDS, "reading fails often: {refused}");
}
