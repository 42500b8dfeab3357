//! Pages over the bus's model: in both directions, whatever they start with and however
//! many events they hold, they are the whole and account for every sequence.

use std::time::Duration;

use bus::Bus;
use bus::bootstrap::{StoreSettings, bootstrap};
use bus::model::{Model, ModelFaults};
use bytes::Bytes;
use futures_util::TryStreamExt;
use proptest::prelude::*;
use protocol::bus::Outgoing;
use protocol::envelope::Envelope;
use protocol::error_code::ErrorCode;
use protocol::frame::{AtSequence, AtTime, Encoding, End, HistoryPage, Mark};
use protocol::lane::Lane;
use protocol::name::{Channel, Tenant};
use protocol::position::{Epoch, Position};
use protocol::spec::StoreSpec;
use protocol::stream::StreamName;
use protocol::subject::{Kind, Subject};

use super::{Asked, Histories};
use crate::core::directory::Place;
use archive::Archive;
use archive::events::PAGE_BYTES_MAX;

/// Wait between two looks at a leader that knows too little, of virtual time.
const DOUBT: Duration = Duration::from_millis(10);
/// Most pages of one read: more would be a circle.
const PAGES_MAX: usize = 5_000;

struct World {
    bus: Bus,
    store: StoreSpec,
    histories: Histories,
    _model: Model,
}

impl World {
    async fn start(settings: StoreSettings, faults: ModelFaults) -> Self {
        let model = Model::start(faults);
        let bus = model.connect("edge");
        let store = bootstrap(&bus, &settings).await.unwrap();
        Self {
            histories: Histories::new(bus.clone(), Archive::default(), DOUBT),
            store,
            bus,
            _model: model,
        }
    }

    fn subject(&self, channel: &str) -> Subject {
        let (tenant, channel) = (
            Tenant::parse("t").unwrap(),
            Channel::parse(channel).unwrap(),
        );
        Subject::event(Kind::Ev, &self.store.name, Lane(0), &tenant, &channel)
    }

    async fn publish(&self, channel: &str, bytes: usize) {
        let envelope = Envelope {
            id: "t/ann/c/1".into(),
            user: vec![("long".into(), (bytes > 100).to_string())],
            ..Envelope::default()
        };
        let event = Outgoing {
            subject: self.subject(channel),
            headers: envelope.to_headers(),
            payload: Bytes::from(vec![b'1'; bytes.max(1)]),
            msg_id: None,
            expect: None,
        };
        self.bus.publish(event).await.unwrap();
    }

    /// Sequence, predecessor and time of every event of `doc.a`, by another way.
    async fn whole(&self) -> Vec<(u64, u64, u64)> {
        let stream = StreamName::events(&self.store.name);
        let last = self.bus.stream_state(&stream).await.unwrap().last_seq;
        let scan = self
            .bus
            .scan(&stream, &self.subject("doc.a"), 1, last)
            .await;
        let events: Vec<_> = scan.try_collect().await.unwrap();
        let mut prev = 0;
        let links = events.into_iter().map(|event| {
            let before = std::mem::replace(&mut prev, event.seq);
            (event.seq, before, event.time_us)
        });
        links.collect()
    }

    async fn last(&self) -> u64 {
        let stream = StreamName::events(&self.store.name);
        self.bus.stream_state(&stream).await.unwrap().last_seq
    }

    fn asked(&self, from: Mark, backwards: bool, limit: usize) -> Asked {
        Asked {
            tenant: Tenant::parse("t").unwrap(),
            channel: Channel::parse("doc.a").unwrap(),
            place: Place::plain(self.store.name.clone(), self.store.epoch.clone(), Lane(0)),
            from,
            backwards,
            limit,
            filter: None,
        }
    }

    async fn page(&self, asked: &Asked) -> HistoryPage {
        self.histories.read(asked, Encoding::Json).await.unwrap()
    }

    async fn refused(&self, from: Mark, backwards: bool) -> ErrorCode {
        let asked = self.asked(from, backwards, 10);
        let refused = self.histories.read(&asked, Encoding::Json).await;
        refused.unwrap_err().code
    }

    /// Every page from a mark on. They follow one another without a hole.
    async fn pages(&self, from: Mark, backwards: bool, limit: usize) -> Vec<HistoryPage> {
        let mut asked = self.asked(from, backwards, limit);
        let mut pages: Vec<HistoryPage> = Vec::new();
        while pages.len() < PAGES_MAX {
            let page = self.page(&asked).await;
            asked.from = Mark::Position(page.next.clone());
            if let Some(before) = pages.last() {
                if backwards {
                    assert_eq!(page.last_seq + 1, before.first_seq);
                } else {
                    assert_eq!(page.first_seq, before.last_seq + 1);
                }
            }
            let inside = page.first_seq..=page.last_seq;
            assert!(page.events.iter().all(|event| inside.contains(&event.seq)));
            let more = page.more;
            pages.push(page);
            if !more {
                return pages;
            }
        }
        panic!("{PAGES_MAX} pages and no end");
    }
}

/// Sequence, predecessor and time of the events, ascending.
fn links(pages: &[HistoryPage], backwards: bool) -> Vec<(u64, u64, u64)> {
    let events = pages.iter().flat_map(|page| &page.events);
    let mut links: Vec<_> = events
        .map(|event| (event.seq, event.prev, event.time))
        .collect();
    if backwards {
        links.reverse();
    }
    links
}

fn seq(seq: u64) -> Mark {
    Mark::Sequence(AtSequence { seq })
}

fn time(time: u64) -> Mark {
    Mark::Time(AtTime { time })
}

const EARLIEST: Mark = Mark::End(End::Earliest);
const LATEST: Mark = Mark::End(End::Latest);

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().start_paused(true).build().unwrap()
}

/// Runs of events: how many on the channel, how many on another, and how long they are.
fn streams() -> impl Strategy<Value = Vec<(usize, usize, usize)>> {
    let run = (0_usize..40, prop_oneof![0_usize..3, 0_usize..700]);
    let run = (run, prop_oneof![Just(1_usize), Just(9_000)]);
    let run = run.prop_map(|((own, others), bytes)| (own, others, bytes));
    proptest::collection::vec(run, 0..8)
}

#[test]
fn a_page_with_a_filter_holds_a_part_and_counts_the_rest() {
    runtime().block_on(async {
        let world = World::start(StoreSettings::default(), ModelFaults::default()).await;
        for bytes in [1, 200, 1, 1, 300, 1] {
            world.publish("doc.a", bytes).await;
            world.publish("doc.b", 1).await;
        }
        let whole = world.whole().await;
        let wanted: Vec<_> = [whole[1], whole[4]].into();
        for backwards in [false, true] {
            let from = if backwards { LATEST } else { EARLIEST };
            let filter = r#"{"long":["true"]}"#.parse().unwrap();
            let mut asked = Asked {
                filter: Some(filter),
                ..world.asked(from, backwards, 2)
            };
            let (mut pages, mut passed) = (Vec::new(), 0);
            loop {
                let page = world.page(&asked).await;
                passed += page.passed;
                asked.from = Mark::Position(page.next.clone());
                let more = page.more;
                pages.push(page);
                if !more {
                    break;
                }
            }
            assert_eq!((links(&pages, backwards), passed), (wanted.clone(), 4));
            assert!(pages.len() >= 3, "each looks at two events");
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn pages_in_both_directions_hold_what_a_whole_read_holds(
        runs in streams(),
        limit in prop_oneof![1_usize..5, 5_usize..=256],
        start in any::<prop::sample::Index>(),
        seed in any::<u64>(),
    ) {
        runtime().block_on(async {
            let faults = ModelFaults { seed, lag: 0.3, ..ModelFaults::default() };
            let world = World::start(StoreSettings::default(), faults).await;
            for (own, others, bytes) in runs {
                for _ in 0..own {
                    world.publish("doc.a", bytes).await;
                }
                for _ in 0..others {
                    world.publish("doc.b", 1).await;
                }
            }
            let (whole, last) = (world.whole().await, world.last().await);
            let forwards = world.pages(EARLIEST, false, limit).await;
            assert_eq!(links(&forwards, false), whole);
            let backwards = world.pages(LATEST, true, limit).await;
            assert_eq!(links(&backwards, true), whole);
            let middle = start.index(last as usize + 1) as u64;
            let up = world.pages(seq(middle), false, limit).await;
            let down = world.pages(seq(middle), true, limit).await;
            for (pages, backwards, seqs) in [(up, false, middle..=last), (down, true, 0..=middle)] {
                let wanted = whole.iter().copied().filter(|(seq, ..)| seqs.contains(seq));
                assert_eq!(links(&pages, backwards), wanted.collect::<Vec<_>>());
            }
            // Down to the first sequence, and up to the last one.
            assert_eq!(backwards.last().unwrap().first_seq, 1);
            assert_eq!(forwards.last().unwrap().last_seq, last);
        });
    }
}

#[tokio::test(start_paused = true)]
async fn times_are_met_from_both_sides() {
    let world = World::start(StoreSettings::default(), ModelFaults::default()).await;
    for n in 0..6 {
        world
            .publish(if n % 2 == 0 { "doc.a" } else { "doc.b" }, 1)
            .await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let whole = world.whole().await;
    for (at, (_, _, stored)) in whole.iter().enumerate() {
        for (mark, up, down) in [
            (*stored - 1, &whole[at..], &whole[..at]),
            (*stored, &whole[at..], &whole[..=at]),
            (*stored + 1, &whole[at + 1..], &whole[..=at]),
        ] {
            let pages = world.pages(time(mark), false, 10).await;
            assert_eq!(links(&pages, false), up);
            let pages = world.pages(time(mark), true, 10).await;
            assert_eq!(links(&pages, true), down);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_retention_took_is_accounted_for() {
    let age = Duration::from_secs(3_600);
    let settings = StoreSettings {
        ingress_max_age: age,
        events_max_age: age,
        ..StoreSettings::default()
    };
    let world = World::start(settings, ModelFaults::default()).await;
    for _ in 0..10 {
        world.publish("doc.a", 1).await;
    }
    tokio::time::sleep(age).await;
    for _ in 0..5 {
        world.publish("doc.a", 1).await;
    }
    let page = world.page(&world.asked(seq(4), false, 10)).await;
    let lost = |page: &HistoryPage| page.gap.as_ref().map(|gap| (gap.from, gap.to));
    assert_eq!(lost(&page), Some((4, 10)));
    assert_eq!((page.first_seq, page.last_seq, page.begins), (4, 15, 11));
    assert_eq!(page.events[0].prev, 0);
    // Whoever begins with what is kept asks for nothing that is gone.
    let page = world.page(&world.asked(EARLIEST, false, 10)).await;
    assert_eq!((lost(&page), page.first_seq), (None, 11));
    let page = world.page(&world.asked(time(1), false, 10)).await;
    assert_eq!((lost(&page), page.events.len()), (Some((1, 10)), 5));
    let pages = world.pages(LATEST, true, 2).await;
    let gaps: Vec<_> = pages.iter().map(lost).collect();
    assert_eq!(gaps, [None, None, Some((1, 10))]);
    assert_eq!(links(&pages, true), world.whole().await);
    let page = world.page(&world.asked(seq(7), true, 2)).await;
    assert_eq!((lost(&page), page.more), (Some((1, 7)), false));
}

#[tokio::test(start_paused = true)]
async fn positions_of_other_events_are_refused() {
    let world = World::start(StoreSettings::default(), ModelFaults::default()).await;
    for _ in 0..3 {
        world.publish("doc.a", 1).await;
    }
    let stored = world.whole().await[1].2;
    let position = |epoch: &Epoch, seq, time| {
        let epoch = epoch.clone();
        Mark::Position(Position { epoch, seq, time })
    };
    let (own, other) = (&world.store.epoch, &Epoch::from_random(7));
    for backwards in [false, true] {
        let end = 3 + u64::from(backwards);
        let pages = world.pages(position(own, end, None), backwards, 9).await;
        assert_eq!(pages[0].events.len(), if backwards { 3 } else { 0 });
        world
            .page(&world.asked(position(own, 2, Some(stored)), backwards, 9))
            .await;
        for (mark, code) in [
            (position(own, end + 1, None), ErrorCode::PositionAhead),
            (position(own, u64::MAX, None), ErrorCode::PositionAhead),
            (seq(u64::MAX), ErrorCode::PositionAhead),
            (position(other, 1, None), ErrorCode::PositionMismatch),
            (
                position(own, 2, Some(stored + 1)),
                ErrorCode::PositionMismatch,
            ),
        ] {
            assert_eq!(world.refused(mark, backwards).await, code);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_of_long_events_ends_by_its_bytes() {
    let world = World::start(StoreSettings::default(), ModelFaults::default()).await;
    for _ in 0..9 {
        world.publish("doc.a", PAGE_BYTES_MAX / 3).await;
    }
    for (from, backwards) in [(EARLIEST, false), (LATEST, true)] {
        let pages = world.pages(from, backwards, 256).await;
        assert!(pages.iter().all(|page| page.events.len() <= 2));
        assert_eq!(links(&pages, backwards), world.whole().await);
    }
}
