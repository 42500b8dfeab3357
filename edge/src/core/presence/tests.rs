//! Several nodes over the bus's model, in virtual time: what one node's sessions do, the
//! watchers of another know; also where messages are lost and nodes are cut off.

use std::collections::BTreeSet;
use std::time::Duration;

use bus::bootstrap::{StoreSettings, bootstrap};
use bus::model::{Model, ModelFaults};
use protocol::error_code::ErrorCode;
use protocol::frame::{
    Encoding, FromServer, Join, Member, Presence as Present, decode_from_server,
};
use protocol::name::{Channel, StoreName, Tenant};
use protocol::presence::{NodeId, Part};
use protocol::spec::StoreSpec;
use protocol::stream::Bucket;
use protocol::subject::presence::part_key;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::time::Instant;

use super::*;
use crate::core::namespaces;
use crate::core::port::Port;
use crate::core::wants::Wants;

/// Runs of nodes that lose and delay what they say: half a minute of them.
const SEEDS: u64 = 20;
/// Room for whatever a watcher is told here.
const OUTBOX_BYTES: usize = 1 << 20;
/// Pause between two looks, of virtual time.
const LOOK: Duration = Duration::from_millis(50);
/// How long anything may take, of virtual time.
const PATIENCE: Duration = Duration::from_secs(120);
/// Members that are named.
const LIST_MAX: u32 = 5;

fn place(spec: &StoreSpec) -> Place {
    Place::plain(
        spec.name.clone(),
        spec.epoch.clone(),
        protocol::lane::Lane(0),
    )
}

fn key(channel: &str) -> FeedKey {
    FeedKey {
        tenant: Tenant::parse("acme").unwrap(),
        channel: Channel::parse(channel).unwrap(),
    }
}

/// One node.
struct Node {
    presence: Presence,
    place: Place,
    list_max: u32,
    stop: Shutdown,
    tasks: TaskTracker,
    next: u64,
}

/// A watcher, and what its client knows.
struct Client {
    port: Arc<Port>,
    /// Held for as long as it watches.
    _seat: Seat,
    view: Present,
}

impl Node {
    fn start(model: &Model, name: &str, spec: &StoreSpec, watched_max: usize) -> Self {
        let (bus, stop, tasks) = (model.connect(name), Shutdown::new(), TaskTracker::new());
        let namespaces = Arc::<Namespaces>::default();
        let follow = namespaces::follow(bus.clone(), namespaces.clone(), stop.clone());
        tasks.spawn(follow);
        let over = (bus, namespaces.clone());
        let presences = Presences::new(over, watched_max, tasks.clone());
        let known = (namespaces, Arc::<Sessions>::default());
        let presence = Presence::run(presences, name, known, &stop, &tasks);
        Self {
            presence,
            place: place(spec),
            list_max: LIST_MAX,
            stop,
            tasks,
            next: 0,
        }
    }

    fn take(
        &mut self,
        channel: &str,
        user: &str,
        watch: bool,
    ) -> Result<(Seat, Arc<Port>, u64), ErrorBody> {
        self.next += 1;
        let (id, port) = (
            self.next,
            Arc::new(Port::new(
                OUTBOX_BYTES,
                &shares::budget::Budget::new(1 << 30),
                crate::core::run::Form::Joined,
            )),
        );
        let member = Member {
            user: user.into(),
            client: "c".into(),
            session: format!("s-{id}"),
            since: id,
        };
        let seating = Seating {
            member,
            list_max: self.list_max,
            watch,
        };
        let subscriber = Subscriber {
            id,
            port: port.clone(),
            encoding: Encoding::Json,
            wants: Wants::default(),
        };
        port.expect(id);
        let seat = self
            .presence
            .seat(key(channel), &self.place, subscriber, seating)?;
        Ok((seat, port, id))
    }

    fn join(&mut self, channel: &str, user: &str) -> Seat {
        let (seat, port, id) = self.take(channel, user, false).unwrap();
        assert!(seat.enter(|told| told.is_none() && port.open(id, "{}".into())));
        seat
    }

    async fn watch(&mut self, channel: &str, user: &str) -> Client {
        let (seat, port, id) = self.take(channel, user, true).unwrap();
        let deadline = Instant::now() + PATIENCE;
        while let Err(error) = seat.ready().await {
            assert!(Instant::now() < deadline, "{error:?}");
        }
        let mut first = None;
        assert!(seat.enter(|told| {
            first = told;
            port.open(id, "{}".into())
        }));
        Client {
            port,
            _seat: seat,
            view: first.expect("it is told who is there"),
        }
    }

    async fn look(&self, channel: &str, members: bool) -> Result<Present, ErrorBody> {
        let asked = AskedPresence {
            tenant: key(channel).tenant,
            channel: key(channel).channel,
            place: self.place.clone(),
            list_max: self.list_max,
            members,
        };
        self.presence.look(&asked).await
    }

    async fn end(self) {
        self.stop.trigger();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Client {
    /// Applies what has come, as a client does.
    fn read(&mut self) -> &Present {
        let (mut frames, mut bytes) = (Vec::new(), 0);
        self.port.take(usize::MAX, |frame| {
            bytes += frame.len();
            frames.extend(decode_from_server(Encoding::Json, &frame).0);
        });
        self.port.written(bytes);
        frames.into_iter().for_each(|frame| self.apply(frame));
        &self.view
    }

    fn apply(&mut self, frame: FromServer) {
        if let Some(all) = frame.presence {
            self.view = all;
        }
        let Some(members) = &mut self.view.members else {
            assert!(
                frame.join.is_none() && frame.leave.is_none(),
                "they are only counted"
            );
            return;
        };
        let is = |member: &Member, user: &str, client: &str| {
            (member.user.as_str(), member.client.as_str()) == (user, client)
        };
        if let Some(left) = frame.leave {
            members.retain(|member| !is(member, &left.user, &left.client));
        }
        if let Some(join) = frame.join {
            let Join { user, client, .. } = &join;
            members.retain(|member| !is(member, user, client));
            members.push(join.member());
        }
        self.view.count = members.len() as u32;
    }

    fn users(&mut self) -> BTreeSet<String> {
        let members = self.read().members.clone().unwrap_or_default();
        members.into_iter().map(|member| member.user).collect()
    }

    async fn sees(&mut self, users: &[&str]) {
        let wanted: BTreeSet<String> = users.iter().map(|user| (*user).to_owned()).collect();
        let deadline = Instant::now() + PATIENCE;
        while self.users() != wanted || self.view.members.is_none() {
            assert!(
                Instant::now() < deadline,
                "{:?} instead of {wanted:?}",
                self.view
            );
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn counts(&mut self, count: u32) {
        let deadline = Instant::now() + PATIENCE;
        while self.read().count != count || self.view.members.is_some() {
            assert!(
                Instant::now() < deadline,
                "{:?} instead of {count}",
                self.view
            );
            tokio::time::sleep(LOOK).await;
        }
    }
}

async fn start(faults: ModelFaults) -> (Model, Bus, StoreSpec) {
    let model = Model::start(ModelFaults::default());
    let bus = model.connect("test");
    let settings = StoreSettings {
        name: StoreName::parse("main").unwrap(),
        ..StoreSettings::default()
    };
    let spec = bootstrap(&bus, &settings).await.unwrap();
    model.set_faults(faults);
    (model, bus, spec)
}

/// Keys that the bucket holds.
async fn keys(bus: &Bus) -> Vec<String> {
    bus.kv(Bucket::Presence)
        .await
        .unwrap()
        .keys()
        .await
        .unwrap()
}

async fn holds(bus: &Bus, count: usize) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let keys = keys(bus).await;
        if keys.len() == count {
            return;
        }
        assert!(Instant::now() < deadline, "{keys:?} instead of {count}");
        tokio::time::sleep(LOOK).await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_comes_and_goes_on_one_node_is_told_on_another() {
    let (model, bus, spec) = start(ModelFaults::default()).await;
    let mut a = Node::start(&model, "a", &spec, 10);
    let mut b = Node::start(&model, "b", &spec, 10);
    let ann = a.join("room.1", "ann");
    let mut watcher = b.watch("room.1", "joe").await;
    watcher.sees(&["ann", "joe"]).await;
    let sue = a.join("room.1", "sue");
    let other = a.join("room.2", "zoe");
    watcher.sees(&["ann", "joe", "sue"]).await;
    drop(ann);
    watcher.sees(&["joe", "sue"]).await;
    let seen = a.look("room.1", true).await.unwrap();
    assert_eq!((seen.count, seen.members.unwrap().len()), (2, 2));
    let counted = a.look("room.2", false).await.unwrap();
    assert_eq!((counted.count, counted.members), (1, None));
    drop((sue, other, watcher));
    // What is left are signs of life.
    holds(&bus, 2).await;
    a.end().await;
    b.end().await;
    assert_eq!(keys(&bus).await, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn members_are_named_within_and_counted_beyond_their_number() {
    let (model, _, spec) = start(ModelFaults::default()).await;
    let mut a = Node::start(&model, "a", &spec, 10);
    let mut b = Node::start(&model, "b", &spec, 10);
    let mut watcher = b.watch("room.1", "w").await;
    let mut seats: Vec<Seat> = (0..4).map(|n| a.join("room.1", &n.to_string())).collect();
    watcher.sees(&["0", "1", "2", "3", "w"]).await;
    seats.push(a.join("room.1", "4"));
    watcher.counts(6).await;
    let many: Vec<Seat> = (5..60).map(|n| a.join("room.1", &n.to_string())).collect();
    watcher.counts(61).await;
    let seen = a.look("room.1", true).await.unwrap();
    assert_eq!((seen.count, seen.members), (61, None));
    drop(many);
    seats.truncate(4);
    // At the number they are not named again, well below it they are.
    watcher.counts(5).await;
    seats.truncate(2);
    watcher.sees(&["0", "1", "w"]).await;
}

#[tokio::test(start_paused = true)]
async fn members_of_a_node_that_is_cut_off_leave_and_come_back_with_it() {
    let (model, bus, spec) = start(ModelFaults::default()).await;
    let mut a = Node::start(&model, "a", &spec, 10);
    let mut b = Node::start(&model, "b", &spec, 10);
    let mut watcher = b.watch("room.1", "joe").await;
    let mut cut_off = a.watch("room.1", "ann").await;
    watcher.sees(&["ann", "joe"]).await;
    let begun = Instant::now();
    model.cut("a");
    watcher.sees(&["joe"]).await;
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(8), "{took:?}");
    // Its parts, its sign and its mark are gone.
    holds(&bus, 2).await;
    cut_off.sees(&["ann", "joe"]).await;
    model.heal("a");
    watcher.sees(&["ann", "joe"]).await;
    let sue = a.join("room.1", "sue");
    watcher.sees(&["ann", "joe", "sue"]).await;
    cut_off.sees(&["ann", "joe", "sue"]).await;
    drop(sue);
    cut_off.sees(&["ann", "joe"]).await;
    holds(&bus, 4).await;
}

#[tokio::test(start_paused = true)]
async fn who_is_cut_off_judges_nobody() {
    let (model, _, spec) = start(ModelFaults::default()).await;
    let mut a = Node::start(&model, "a", &spec, 10);
    let mut b = Node::start(&model, "b", &spec, 10);
    let mut watcher = a.watch("room.1", "ann").await;
    let _joe = b.join("room.1", "joe");
    watcher.sees(&["ann", "joe"]).await;
    model.cut("a");
    tokio::time::sleep(Duration::from_secs(60)).await;
    watcher.sees(&["ann", "joe"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_node_that_starts_tidies_up_after_those_that_died_before() {
    let (model, bus, spec) = start(ModelFaults::default()).await;
    let mut a = Node::start(&model, "a", &spec, 10);
    let _ann = a.join("room.1", "ann");
    holds(&bus, 2).await;
    model.cut("a");
    let mut b = Node::start(&model, "b", &spec, 10);
    let mut watcher = b.watch("room.1", "joe").await;
    watcher.sees(&["joe"]).await;
    holds(&bus, 2).await;
}

#[tokio::test(start_paused = true)]
async fn watched_channels_within_and_beyond_their_limit() {
    let (model, _, spec) = start(ModelFaults::default()).await;
    let mut a = Node::start(&model, "a", &spec, 1);
    let first = a.watch("room.1", "ann").await;
    let second = a.watch("room.1", "joe").await;
    let refused = a.take("room.2", "sue", true).err().unwrap();
    assert_eq!(refused.code, ErrorCode::TooManyWatched);
    assert!(
        a.take("room.2", "sue", false).is_ok(),
        "a member needs no place"
    );
    drop((first, second));
    assert!(a.take("room.2", "sue", true).is_ok());
}

/// What is lost on the way is found by the comparison: every last part is missed.
#[tokio::test(start_paused = true)]
async fn a_part_that_is_lost_is_found() {
    let (model, _, spec) = start(ModelFaults::default()).await;
    let mut a = Node::start(&model, "a", &spec, 10);
    let mut b = Node::start(&model, "b", &spec, 10);
    let mut watcher = b.watch("room.1", "joe").await;
    let ann = a.join("room.1", "ann");
    watcher.sees(&["ann", "joe"]).await;
    model.set_faults(ModelFaults {
        delivery_lost: 1.0,
        ..ModelFaults::default()
    });
    let _sue = a.join("room.1", "sue");
    watcher.sees(&["ann", "joe", "sue"]).await;
    drop(ann);
    watcher.sees(&["joe", "sue"]).await;
}

/// What a node wrote under a name that is no more counts for nobody, and is removed.
#[tokio::test(start_paused = true)]
async fn a_part_of_nobody_is_removed() {
    let (model, bus, spec) = start(ModelFaults::default()).await;
    let mut a = Node::start(&model, "a", &spec, 10);
    let node = NodeId::from_random(7);
    let FeedKey { tenant, channel } = key("room.1");
    let stray = part_key(&node, &spec.name, &tenant, &channel);
    let part = Part {
        count: 1,
        members: None,
    };
    let bucket = bus.kv(Bucket::Presence).await.unwrap();
    bucket.put(&stray, part.to_bytes().into()).await.unwrap();
    let mut watcher = a.watch("room.1", "ann").await;
    watcher.sees(&["ann"]).await;
    holds(&bus, 2).await;
    assert!(!keys(&bus).await.contains(&stray));
}

/// A little of everything goes wrong while sessions come and go on three nodes; once it is
/// quiet, every watcher knows who is there.
async fn rough(seed: u64) {
    let (model, _, spec) = start(ModelFaults::rough(seed)).await;
    let mut dice = StdRng::seed_from_u64(seed);
    let names = ["a", "b", "c"];
    let mut nodes: Vec<Node> = names
        .iter()
        .map(|name| Node::start(&model, name, &spec, 10))
        .collect();
    let mut watchers = Vec::new();
    for (node, name) in nodes.iter_mut().zip(names) {
        // Nobody is only counted, however many are seen at once on the way.
        node.list_max = 100;
        watchers.push(node.watch("room.1", &format!("watcher-{name}")).await);
    }
    let mut seats: Vec<(String, Seat)> = Vec::new();
    for n in 0..60 {
        match dice.random_range(0..6) {
            0..3 if seats.len() < 2 => {
                let user = format!("user-{n}");
                let node = dice.random_range(0..nodes.len());
                seats.push((user.clone(), nodes[node].join("room.1", &user)));
            }
            3 if !seats.is_empty() => drop(seats.swap_remove(dice.random_range(0..seats.len()))),
            4 => {
                let cut = names[dice.random_range(0..names.len())];
                model.cut(cut);
                tokio::time::sleep(Duration::from_millis(dice.random_range(0..9_000))).await;
                model.heal(cut);
            }
            _ => tokio::time::sleep(Duration::from_millis(dice.random_range(0..400))).await,
        }
        for watcher in &mut watchers {
            watcher.read();
        }
    }
    model.set_faults(ModelFaults::default());
    let mut there: Vec<String> = seats.iter().map(|(user, _)| user.clone()).collect();
    there.extend(names.map(|name| format!("watcher-{name}")));
    let there: Vec<&str> = there.iter().map(String::as_str).collect();
    for watcher in &mut watchers {
        watcher.sees(&there).await;
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_goes_wrong_every_watcher_ends_up_right() {
    for seed in 0..SEEDS {
        rough(seed).await;
    }
}

mod told;
mod writers;
