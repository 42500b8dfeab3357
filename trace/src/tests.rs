//! Over the bus's model: an id is found wherever it stands, and an input's commit however
//! many others there are.

use bus::Bus;
use bus::bootstrap::{StoreSettings, bootstrap};
use bus::model::{Model, ModelFaults};
use bytes::Bytes;
use protocol::bus::Outgoing;
use protocol::checkpoint::{Checkpoint, Digest, Parked, Unparked};
use protocol::header::{self, Headers};
use protocol::lane::Lane;
use protocol::name::{Channel, FunctionName, Tenant};
use protocol::position::Source;
use protocol::spec::StoreSpec;
use protocol::stream::StreamName;
use protocol::subject::{Kind, Subject};
use protocol::trace::Searched;

use crate::search::{self, EVENTS_MAX, Place};
use crate::settlement::{self, Owner, Settlement};
use crate::standing::{Input, Standing};

struct World {
    bus: Bus,
    store: StoreSpec,
    _model: Model,
}

fn channel(text: &str) -> Channel {
    Channel::parse(text).unwrap()
}

fn tenant() -> Tenant {
    Tenant::parse("acme").unwrap()
}

fn gate() -> FunctionName {
    FunctionName::parse("gate").unwrap()
}

impl World {
    async fn start() -> Self {
        let model = Model::start(ModelFaults::default());
        let bus = model.connect("edge");
        let store = bootstrap(&bus, &StoreSettings::default()).await.unwrap();
        Self {
            bus,
            store,
            _model: model,
        }
    }

    fn events(&self) -> StreamName {
        StreamName::events(&self.store.name)
    }

    fn subject(&self, on: &str) -> Subject {
        let (store, tenant, channel) = (&self.store.name, tenant(), channel(on));
        Subject::event(Kind::Ev, store, Lane(0), &tenant, &channel)
    }

    async fn publish(&self, subject: Subject, headers: Headers, payload: Bytes) -> u64 {
        let event = Outgoing {
            subject,
            headers,
            payload,
            msg_id: None,
            expect: None,
        };
        self.bus.publish(event).await.unwrap().seq
    }

    async fn event(&self, on: &str, id: &str, bytes: usize) -> u64 {
        let mut headers = Headers::new();
        headers.push(header::ID, id);
        let payload = Bytes::from(vec![b'1'; bytes]);
        self.publish(self.subject(on), headers, payload).await
    }

    /// Looks for an id, answer after answer; where it is, and how many answers that took.
    async fn look(&self, id: &str) -> (Option<u64>, Vec<Searched>) {
        let (stream, subject) = (self.events(), self.subject("doc.a"));
        let (mut before, mut answers) = (None, Vec::new());
        loop {
            let place = Place {
                stream: &stream,
                subject: &subject,
            };
            let found = search::newest(&self.bus, place, id, before).await.unwrap();
            let (found, searched) = found;
            before = Some(searched.from);
            answers.push(searched.clone());
            assert!(answers.len() < 100, "{searched:?}");
            if found.is_some() || !searched.more {
                return (found.map(|stored| stored.seq), answers);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_id_is_found_wherever_it_stands_and_answers_are_bounded() {
    let world = World::start().await;
    let first = world.event("doc.a", "first", 10).await;
    let count = 2 * EVENTS_MAX + 10;
    let mut middle = 0;
    for n in 0..count {
        world.event("doc.b", &format!("other-{n}"), 10).await;
        let seq = world.event("doc.a", &format!("n-{n}"), 10).await;
        if n == count / 2 {
            middle = seq;
        }
    }
    let last = world.event("doc.a", "last", 10).await;
    world.event("doc.b", "after", 10).await;

    let (found, answers) = world.look("last").await;
    assert_eq!((found, answers.len()), (Some(last), 1));
    let (found, _) = world.look(&format!("n-{}", count / 2)).await;
    assert_eq!(found, Some(middle));
    let (found, answers) = world.look("first").await;
    assert_eq!(found, Some(first));
    assert!((2..=3).contains(&answers.len()), "{answers:?}");
    let (found, answers) = world.look("after").await;
    assert_eq!(found, None, "on another channel");
    let ends = answers.last().unwrap();
    assert_eq!((ends.from, ends.kept_from), (1, 1));
    // What was looked at is told without a hole.
    for two in answers.windows(2) {
        assert_eq!(two[1].to + 1, two[0].from);
    }
}

#[tokio::test(start_paused = true)]
async fn long_events_and_rare_ones_are_found_too() {
    let world = World::start().await;
    let rare = world.event("doc.a", "rare", 10).await;
    for n in 0..5_000 {
        world.event("doc.b", &format!("other-{n}"), 10).await;
    }
    assert_eq!(world.look("rare").await.0, Some(rare));
    let long = world.event("doc.a", "long", 900 << 10).await;
    for n in 0..40 {
        world.event("doc.a", &format!("big-{n}"), 900 << 10).await;
    }
    let (found, answers) = world.look("long").await;
    assert_eq!(found, Some(long));
    assert!(answers.len() > 1, "bytes are bounded");
    // The newest life of an id counts.
    let again = world.event("doc.a", "rare", 10).await;
    assert_eq!(world.look("rare").await.0, Some(again));
}

/// Checkpoints of the gate over inputs, as a worker writes them.
struct Lane0<'a> {
    world: &'a World,
    last: Checkpoint,
}

impl Lane0<'_> {
    async fn commit(&mut self, seq: u64, change: impl FnOnce(&mut Checkpoint)) -> u64 {
        self.last.seq = seq;
        change(&mut self.last);
        let subject = Subject::checkpoint(&self.world.store.name, Lane(0), &gate());
        let json = serde_json::to_vec(&self.last).unwrap();
        let publish = self.world.publish(subject, Headers::new(), json.into());
        publish.await
    }

    async fn output(&self, input: u64) -> u64 {
        let mut headers = Headers::new();
        headers.push(header::ID, format!("gate/{input}"));
        headers.push(header::FUNCTION, "gate");
        headers.push(
            header::SOURCE,
            input_of(self.world, input, "doc.a").source.to_string(),
        );
        let subject = self.world.subject("doc.a");
        self.world.publish(subject, headers, Bytes::new()).await
    }
}

fn input_of(world: &World, seq: u64, on: &str) -> Input {
    Input {
        source: Source {
            stream: StreamName::ingress(&world.store.name),
            epoch: world.store.epoch.clone(),
            seq,
        },
        tenant: tenant(),
        channel: channel(on),
    }
}

fn lane(world: &World) -> Lane0<'_> {
    let last = Checkpoint {
        stream: StreamName::ingress(&world.store.name),
        epoch: world.store.epoch.clone(),
        seq: 0,
        time: 1,
        digest: Digest::from_bytes([1; 32]),
        lease: 1,
        incarnation: 0,
        generation: 0,
        base: 0,
        parked: Vec::new(),
        unparked: Vec::new(),
        held: Vec::new(),
        ticked: None,
    };
    Lane0 { world, last }
}

async fn find(world: &World, input: &Input) -> Settlement {
    let function = gate();
    let owner = Owner {
        store: &world.store.name,
        lane: Lane(0),
        function: &function,
    };
    settlement::find(&world.bus, owner, input).await.unwrap()
}

/// The checkpoint that settled an input, and its outputs.
async fn by(world: &World, seq: u64, on: &str) -> (u64, Vec<u64>) {
    let input = input_of(world, seq, on);
    match find(world, &input).await {
        Settlement::By { mark, batch, .. } => {
            let made = batch.iter().filter(|stored| input.made(stored, &gate()));
            (mark.seq, made.map(|stored| stored.seq).collect())
        }
        other => panic!("{seq}: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn the_commit_of_an_input_is_found_among_many() {
    let world = World::start().await;
    let unread = find(&world, &input_of(&world, 1, "doc.a")).await;
    assert_eq!(unread, Settlement::Open(Standing::Behind), "no checkpoint");
    let mut lane = lane(&world);
    // A checkpoint for each three inputs, with an output of each input before it, and
    // what others store in between.
    let mut commits = Vec::new();
    lane.commit(0, |_| ()).await;
    for commit in 1..=60 {
        let mut outputs = Vec::new();
        for n in 0..commit % 7 {
            world.event("doc.b", &format!("{commit}-{n}"), 10).await;
        }
        for input in commit * 3 - 2..=commit * 3 {
            outputs.push((input, lane.output(input).await));
        }
        commits.push((lane.commit(commit * 3, |_| ()).await, outputs));
    }
    for (checkpoint, outputs) in &commits {
        for (input, output) in outputs {
            let found = by(&world, *input, "doc.a").await;
            assert_eq!(found, (*checkpoint, vec![*output]));
        }
    }
    let behind = find(&world, &input_of(&world, 181, "doc.a")).await;
    assert_eq!(behind, Settlement::Open(Standing::Behind));
    let mut foreign = input_of(&world, 1, "doc.a");
    foreign.source.stream = world.events();
    let foreign = find(&world, &foreign).await;
    assert_eq!(foreign, Settlement::Open(Standing::Foreign));
}

#[tokio::test(start_paused = true)]
async fn an_input_whose_channel_waits_is_settled_by_a_later_commit() {
    let world = World::start().await;
    let mut lane = lane(&world);
    lane.commit(0, |_| ()).await;
    let parked = |on: &str, seq| Parked {
        tenant: tenant(),
        channel: channel(on),
        seq,
        attempts: 1,
        since: 1,
        due: 9,
    };
    let waits = vec![parked("doc.a", 2), parked("doc.c", 3)];
    let base = lane.commit(4, |last| last.parked = waits.clone()).await;
    let passed = by(&world, 4, "doc.d").await;
    assert_eq!(passed.0, base, "another channel");
    let waiting = find(&world, &input_of(&world, 4, "doc.a")).await;
    let standing = Standing::Parked(parked("doc.a", 2));
    assert_eq!(
        waiting,
        Settlement::Open(standing),
        "behind the one that waits"
    );
    for seq in 5..30 {
        lane.commit(seq, |last| {
            (last.base, last.parked) = (base, Vec::new());
        })
        .await;
    }
    let output = lane.output(2).await;
    let settled = lane
        .commit(30, |last| {
            last.unparked = vec![Unparked {
                tenant: tenant(),
                channel: channel("doc.a"),
            }];
        })
        .await;
    for seq in 31..60 {
        lane.commit(seq, |_| ()).await;
    }
    assert_eq!(by(&world, 2, "doc.a").await, (settled, vec![output]));
    assert_eq!(
        by(&world, 1, "doc.a").await.0,
        base,
        "before those that wait"
    );
    let waiting = find(&world, &input_of(&world, 3, "doc.c")).await;
    assert_eq!(
        waiting,
        Settlement::Open(Standing::Parked(parked("doc.c", 3)))
    );
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_whose_base_is_gone_is_no_proof() {
    let world = World::start().await;
    let mut lane = lane(&world);
    lane.commit(0, |_| ()).await;
    lane.commit(1, |last| last.base = 1_000_000).await;
    let output = lane.output(2).await;
    let second = lane.commit(3, |last| last.base = 0).await;
    for seq in 4..20 {
        lane.commit(seq, |_| ()).await;
    }
    let gone = find(&world, &input_of(&world, 1, "doc.a")).await;
    assert_eq!(gone, Settlement::Gone, "by it, or by the next");
    let named = by(&world, 2, "doc.a").await;
    assert_eq!(named, (second, vec![output]), "its output says so");
}
