//! Subscribers on a node that loses, doubles and repairs: each must have everything it
//! is owed, in order, with proof, or be told of a gap.
//!
//! Owns one node's feeds and its subscribers. What runs is the edge's feeds, replays and
//! tail probe. A subscriber reads its port as a session would, in its own time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bus::bootstrap::StoreSettings;
use checker::{Delivered, Subscription};
use edge::core::directory::Place;
use edge::core::feed::relay::{FeedKey, Subscriber};
use edge::core::feed::sources::Sources;
use edge::core::limits::PROBE_INTERVAL_DEFAULT;
use edge::core::namespaces::Namespaces;
use edge::core::port::{Note, Port};
use edge::core::probe;
use edge::core::registry::{FeedGuard, Feeds};
use edge::core::replay::{self, Replays};
use edge::core::request::Request;
use edge::core::run::Form;
use edge::core::wants::Wants;
use protocol::frame::{Encoding, Named, Start, decode_from_server};
use protocol::position::Position;
use protocol::subject::Kind;
use service::shutdown::Shutdown;
use shares::budget::Budget;
use tokio_util::task::TaskTracker;

use super::author::{self, Author};
use crate::collect::body;
use crate::plan::{Act, Mix, Step};
use crate::world::{World, channel_of, tenant};

const SUBSCRIBERS: u32 = 4;
const CHANNELS: u32 = 2;
const EDGE: &str = "edge";
/// So little that a subscriber that does not read is soon behind.
const OUTBOX_BYTES: usize = 4_096;
/// What every second subscriber is ready to take, and grants again as it takes it.
const CREDIT: u64 = 7;
/// Short enough that retention passes within a run.
const KEPT: Duration = Duration::from_secs(200);

pub const MIX: Mix = &[
    (60, Act::Work, 0, CHANNELS - 1),
    (20, Act::Again, SUBSCRIBERS - 1, 3),
    (3, Act::Crash, SUBSCRIBERS - 1, 3),
    (2, Act::Cut, 1, 1_400),
    (2, Act::Break, 1, 300),
    (3, Act::Weather, 0, 2),
    (2, Act::Stale, 0, 5_000),
    (2, Act::Leader, 0, 2_000),
    (2, Act::Readers, 0, 0),
    (1, Act::Clock, 0, 40),
    (3, Act::Pass, 0, 4),
    (1, Act::Pass, 0, 250),
];

pub fn settings() -> StoreSettings {
    crate::world::settings(Duration::from_secs(180), KEPT)
}

/// The node, its subscribers, and who writes.
pub struct Scene {
    world: World,
    author: Author,
    node: Node,
    views: Vec<View>,
    born: u64,
}

struct Node {
    feeds: Arc<Feeds>,
    replays: Arc<Replays>,
    stop: Shutdown,
}

/// One continuous view of a channel by one subscriber.
struct View {
    name: String,
    number: u32,
    id: u64,
    port: Arc<Port>,
    guard: Arc<FeedGuard>,
    /// What it has: the last sequence with proof.
    at: Option<u64>,
    from: u64,
    gaps: Vec<(u64, u64)>,
    start: Start,
    refused: bool,
    /// How many events it may be sent at first; all of them if `None`.
    credit: Option<u64>,
}

impl Scene {
    pub fn start(world: &World) -> Self {
        let node = Node::start(world);
        let mut scene = Self {
            author: Author::start(world, Kind::Ev),
            world: world.clone(),
            views: Vec::new(),
            born: 0,
            node,
        };
        for number in 0..SUBSCRIBERS {
            let start = Start::Named(Named::Now);
            let view = scene.view(number % CHANNELS, start);
            scene.views.push(view);
        }
        scene
    }

    pub fn take(&mut self, step: &Step) {
        let who = step.who as usize;
        match step.act {
            Act::Work => self.author.write(step.much),
            // Some read all, some a little.
            Act::Again => self.read(who, [1, 5, 1_000, 1_000][step.much as usize]),
            Act::Crash => self.begin_anew(who, step.much),
            Act::Cut | Act::Break => self.world.trouble(step, name(step.who)),
            _ => {}
        }
    }

    /// A subscriber goes and comes back: from its position on, from the first event
    /// kept, or from now.
    fn begin_anew(&mut self, who: usize, how: u32) {
        self.world.injected("reconnect");
        self.read(who, 1_000);
        let old = &self.views[who];
        let number = old.number;
        let (start, resumes) = match (how, old.at) {
            (0 | 1, Some(seq)) => (self.position(seq), true),
            (2, _) => (Start::Named(Named::Earliest), false),
            _ => (Start::Named(Named::Now), false),
        };
        let view = self.view(number, start);
        let old = std::mem::replace(&mut self.views[who], view);
        old.port.shut(old.id);
        old.port.close();
        if resumes {
            let view = &mut self.views[who];
            (view.name, view.from, view.at) = (old.name, old.from, old.at);
            view.gaps = old.gaps;
        } else {
            self.owe(&old, old.at.unwrap_or(0));
        }
    }

    fn position(&self, seq: u64) -> Start {
        Start::After(Position {
            epoch: self.world.store.epoch.clone(),
            seq,
            time: None,
        })
    }

    fn view(&mut self, number: u32, start: Start) -> View {
        self.born += 1;
        self.node.subscribe(&self.world, self.born, number, start)
    }

    /// Takes what is there, as a session does, and lets paused subscriptions go on.
    fn read(&mut self, who: usize, frames_max: usize) {
        let view = &mut self.views[who];
        view.read(&self.world, frames_max);
        for note in view.port.take_notes() {
            match note {
                Note::Lagging { id, at } => {
                    let (replays, guard) = (self.node.replays.clone(), view.guard.clone());
                    let again = replay::again(replays, guard, view.subscriber(id), at);
                    tokio::spawn(again);
                }
                Note::Refused { .. } => view.refused = true,
                Note::Published { .. }
                | Note::Read { .. }
                | Note::PassedOn { .. }
                | Note::Looked { .. }
                | Note::Seats
                | Note::Revocations
                | Note::Disconnected => {}
                Note::EpochChanged => self.world.problem("the epoch changed by itself"),
            }
        }
        if self.views[who].refused {
            self.try_again(who);
        }
    }

    /// Refused for now, a client asks again with the same start.
    fn try_again(&mut self, who: usize) {
        let (number, start) = (self.views[who].number, self.views[who].start.clone());
        let view = self.view(number, start);
        let old = &mut self.views[who];
        (old.id, old.port, old.guard) = (view.id, view.port, view.guard);
        (old.credit, old.refused) = (view.credit, false);
    }

    /// What a view that ends here was owed.
    fn owe(&self, view: &View, until_seq: u64) {
        // A view that never began is owed nothing.
        if view.at.is_none() {
            return;
        }
        self.world.history.record(Subscription {
            subscriber: view.name.clone(),
            channel: format!("acme/doc.{}", view.number),
            stream: self.world.events().to_string(),
            from_seq: view.from,
            until_seq,
            gaps: view.gaps.clone(),
        });
    }

    pub async fn end(mut self) {
        self.world.calm((0..2).map(name));
        let world = self.world.clone();
        let author = &self.author;
        world.rest("the author", || author.is_done()).await;
        for number in 0..CHANNELS {
            // One more, so that everything before it has a successor.
            self.author.write(number);
        }
        let author = &self.author;
        world.rest("the author", || author.is_done()).await;
        let events = world.model.events(&world.events());
        let mut last = BTreeMap::new();
        for event in &events {
            last.insert(crate::collect::channel(&event.subject), event.seq);
        }
        let owed = |view: &View| last.get(&format!("acme/doc.{}", view.number)).copied();
        let mut waited = 0;
        while self.views.iter().any(|view| view.at < owed(view)) && waited < 1_200 {
            (0..self.views.len()).for_each(|who| self.read(who, 1_000));
            tokio::time::sleep(Duration::from_millis(100)).await;
            waited += 1;
        }
        for view in &self.views {
            self.owe(view, owed(view).unwrap_or(0));
            if view.at < owed(view) {
                let (name, at, owed) = (&view.name, view.at, owed(view));
                world.problem(format!("{name} stands at {at:?} and is owed {owed:?}"));
            }
        }
        self.node.stop.trigger();
        let last = events.last().map_or(0, |event| event.seq);
        crate::collect::stream(&world.history, &world.events(), &events, last);
    }
}

fn name(who: u32) -> String {
    [EDGE, author::NAME][who as usize % 2].into()
}

impl Node {
    fn start(world: &World) -> Self {
        let (bus, stop, tasks) = (
            world.model.connect(EDGE),
            Shutdown::new(),
            TaskTracker::new(),
        );
        let sources = Sources {
            bus: bus.clone(),
            namespaces: Arc::new(Namespaces::default()),
            faults: world.faults.clone(),
            stop: stop.clone(),
        };
        let feeds = Feeds::new(sources, tasks.clone());
        tasks.spawn(probe::run(
            bus.clone(),
            feeds.clone(),
            PROBE_INTERVAL_DEFAULT,
            stop.clone(),
        ));
        Self {
            feeds,
            replays: Replays::new(bus, PROBE_INTERVAL_DEFAULT),
            stop,
        }
    }

    fn subscribe(&self, world: &World, id: u64, number: u32, start: Start) -> View {
        let channel = channel_of(&format!("doc.{number}"));
        let place = Place::plain(
            world.store.name.clone(),
            world.store.epoch.clone(),
            world.lane(&channel),
        );
        let key = FeedKey {
            tenant: tenant(),
            channel: channel.clone(),
        };
        let guard = Arc::new(self.feeds.acquire(key, &place, id));
        let view = View {
            name: format!("view-{id}"),
            number,
            id,
            port: Arc::new(Port::new(OUTBOX_BYTES, &Budget::new(1 << 30), Form::Joined)),
            guard: guard.clone(),
            at: None,
            from: 0,
            gaps: Vec::new(),
            start: start.clone(),
            refused: false,
            credit: id.is_multiple_of(2).then_some(CREDIT),
        };
        let request = Request {
            command: id,
            id,
            tenant: tenant(),
            channel,
            place,
            start,
            wants: Wants::default(),
            credit: view.credit,
            seating: None,
        };
        let places = (guard, None);
        let attach = replay::attach(self.replays.clone(), places, view.subscriber(id), request);
        tokio::spawn(attach);
        view
    }
}

impl View {
    fn subscriber(&self, id: u64) -> Subscriber {
        Subscriber {
            id,
            port: self.port.clone(),
            encoding: Encoding::Msgpack,
            wants: Wants::default(),
        }
    }

    fn read(&mut self, world: &World, frames_max: usize) {
        let mut frames = Vec::new();
        self.port.take(frames_max, |frame| frames.push(frame));
        let mut events = 0;
        for frame in frames {
            let (read, error) = decode_from_server(Encoding::Msgpack, &frame);
            if let Some(error) = error {
                world.problem(format!("a frame cannot be read: {error}"));
            }
            for frame in read {
                events += u64::from(frame.event.is_some());
                self.take(world, frame);
            }
            self.port.written(frame.len());
        }
        self.grant(world, events);
    }

    /// What was read is granted again.
    fn grant(&mut self, world: &World, events: u64) {
        if self.credit.is_none() || events == 0 {
            return;
        }
        match self.port.grant(self.id, events) {
            Ok(left) if events <= CREDIT && left <= CREDIT => {}
            other => {
                let name = &self.name;
                world.problem(format!(
                    "{name} was sent {events} events, and has {other:?}"
                ));
            }
        }
    }

    fn take(&mut self, world: &World, frame: protocol::frame::FromServer) {
        if let Some(subscribed) = frame.subscribe
            && self.at.is_none()
        {
            (self.at, self.from) = (Some(subscribed.after), subscribed.after);
        }
        if let Some(event) = frame.event {
            world.history.record(Delivered {
                subscriber: self.name.clone(),
                channel: format!("acme/{}", event.channel),
                seq: event.seq,
                prev: event.prev,
                body: body(&event.data.into_bytes(false).unwrap_or_default()),
                id: event.id,
            });
            self.at = self.at.max(Some(event.seq));
        }
        if let Some(gap) = frame.gap {
            world.injected("gap told");
            self.gaps.push((gap.from, gap.to));
            self.at = self.at.max(Some(gap.to));
        }
    }
}
