//! Bridges that mirror a stream into transactions, die at any step, are fenced, and do
//! not know what became of a commit: each event is in the mirror once, or told as a gap.
//!
//! Owns the bridges and the model of Kafka. What runs is the mirror's relay, its record
//! of progress and the lease; the order of starting and the loop are written here again,
//! because the product's own speaks to a Kafka client.

use std::collections::BTreeMap;
use std::time::Duration;

use bridge::mirror::relay::{Action, CommitPoint, Relay};
use bus::bootstrap::StoreSettings;
use bus::lease::Lease;
use bus::{Bus, BusError, ReaderOptions};
use checker::{Mirrored, MirroredStream};
use protocol::bus::Stored;
use protocol::header;
use protocol::record::{MirrorGap, Progress, TOPIC_PREFIX_DEFAULT, topic};
use protocol::stream::Bucket;
use protocol::subject::{Kind, Parsed};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until};

use super::author::{self, Author};
use crate::collect::{body, channel};
use crate::kafka::{Kafka, KafkaError, KafkaFaults, Target};
use crate::plan::{Act, Mix, Plant, Step};
use crate::process::Process;
use crate::world::World;

const BRIDGES: u32 = 2;
const CLAIM: Duration = Duration::from_millis(900);
const COMMIT_INTERVAL: Duration = Duration::from_millis(100);
/// How long the stream may be silent before it is asked where it begins.
const SILENCE: Duration = Duration::from_secs(1);
/// Short enough that retention passes a bridge that is gone for long.
const KEPT: Duration = Duration::from_secs(200);
const OPTIONS: ReaderOptions = ReaderOptions {
    batch: 16,
    bytes_max: 1 << 20,
};

pub const MIX: Mix = &[
    (60, Act::Work, 0, 3),
    (4, Act::Crash, BRIDGES - 1, 60),
    (3, Act::Sleep, BRIDGES - 1, 12_000),
    (3, Act::Cut, BRIDGES, 1_400),
    (3, Act::Break, BRIDGES, 300),
    (4, Act::Weather, 0, 2),
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

/// The bridges.
pub struct Scene {
    world: World,
    kafka: Kafka,
    author: Author,
    bridges: Vec<Process>,
}

impl Scene {
    pub fn start(world: &World, seed: u64) -> Self {
        let kafka = Kafka::start(seed);
        kafka.set_faults(KafkaFaults {
            request_lost: 0.005,
            answer_lost: 0.01,
            aborted: 0.01,
            late: 0.01,
        });
        Self {
            author: Author::start(world, Kind::Ev),
            bridges: (0..BRIDGES).map(|n| start(world, &kafka, n)).collect(),
            world: world.clone(),
            kafka,
        }
    }

    pub fn take(&mut self, step: &Step) {
        let who = step.who as usize;
        match step.act {
            Act::Work => self.author.write(step.much),
            Act::Crash => {
                self.bridges[who].crash(step.much);
                self.world.injected("crash");
            }
            Act::Sleep => {
                self.bridges[who].sleep(Duration::from_millis(step.much.into()));
                self.world.injected("sleep");
            }
            Act::Cut | Act::Break => self.world.trouble(step, name(step.who)),
            _ => {}
        }
        self.revive();
    }

    fn revive(&mut self) {
        for (n, bridge) in (0..).zip(&mut self.bridges) {
            if bridge.is_over() {
                *bridge = start(&self.world, &self.kafka, n);
            }
        }
    }

    pub async fn end(mut self) {
        self.world.calm((0..=BRIDGES).map(name));
        self.bridges.iter().for_each(Process::spare);
        self.kafka.set_faults(KafkaFaults::default());
        self.revive();
        let world = self.world.clone();
        world.rest("the author", || self.author.is_done()).await;
        // The last one, so that there is an end to wait for.
        self.author.write(0);
        let (kafka, author) = (&self.kafka, &self.author);
        let mut last = 0;
        world
            .rest("the mirror", || {
                let events = world.model.events(&world.events());
                last = events.last().map_or(last, |event| event.seq);
                author.is_done() && mirrored_to(kafka) >= last
            })
            .await;
        let events = world.model.events(&world.events());
        crate::collect::stream(&world.history, &world.events(), &events, last);
        self.record(last);
        for (what, count) in self.kafka.happened() {
            (0..count).for_each(|_| world.injected(what));
        }
    }

    /// What an independent reader finds.
    fn record(&self, until_seq: u64) {
        let (history, stream) = (&self.world.history, self.world.events().to_string());
        for (target, values) in self.kafka.log() {
            let Target::Partition(topic, partition) = target else {
                continue;
            };
            for (offset, value) in (0..).zip(values) {
                let Ok(value) = serde_json::from_slice::<Value>(&value) else {
                    self.world.problem("a record cannot be read");
                    continue;
                };
                if let Ok(gap) = serde_json::from_value::<MirrorGap>(value["gap"].clone()) {
                    let (from, to, stream) = (gap.from, gap.to, stream.clone());
                    history.record(checker::MirrorGap { stream, from, to });
                    self.world.injected("gap told");
                    continue;
                }
                let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
                history.record(Mirrored {
                    stream: stream.clone(),
                    seq: value["seq"].as_u64().unwrap_or_default(),
                    topic: topic.clone(),
                    partition,
                    offset,
                    key: text("key"),
                    channel: text("channel"),
                    body: value["body"].as_u64().unwrap_or_default(),
                    id: text("id"),
                });
            }
        }
        history.record(MirroredStream { stream, until_seq });
    }
}

/// The last is the author.
fn name(who: u32) -> String {
    if who == BRIDGES {
        author::NAME.into()
    } else {
        format!("bridge-{who}")
    }
}

/// How far the committed progress is.
fn mirrored_to(kafka: &Kafka) -> u64 {
    let log = kafka.log();
    let last = log.get(&Target::Progress).and_then(|all| all.last());
    let last = last.and_then(|last| serde_json::from_slice::<Progress>(last).ok());
    last.map_or(0, |progress| progress.seq)
}

fn start(world: &World, kafka: &Kafka, n: u32) -> Process {
    let bridge = Bridge {
        bus: world.model.connect(&name(n)),
        world: world.clone(),
        kafka: kafka.clone(),
    };
    Process::start(async move { bridge.run(n).await })
}

struct Bridge {
    bus: Bus,
    world: World,
    kafka: Kafka,
}

/// Why a run of the mirror ended.
#[derive(Debug)]
enum End {
    /// The lease is lost, or another has the id.
    Lost,
    /// To be started again under the same lease.
    Again,
}

impl From<KafkaError> for End {
    fn from(error: KafkaError) -> Self {
        if error == KafkaError::Fenced {
            Self::Lost
        } else {
            Self::Again
        }
    }
}

impl From<BusError> for End {
    fn from(_: BusError) -> Self {
        Self::Again
    }
}

impl Bridge {
    async fn run(&self, n: u32) {
        sleep(CLAIM * n / BRIDGES).await;
        let leases = loop {
            match self.bus.kv(Bucket::Leases).await {
                Ok(leases) => break leases,
                Err(_) => sleep(CLAIM).await,
            }
        };
        loop {
            if let Ok(Some(mut lease)) = Lease::acquire(&leases, "shard", &name(n)).await {
                while let Err(End::Again) = self.mirror(&mut lease).await {
                    sleep(Duration::from_millis(100)).await;
                }
                lease.release().await;
            }
            sleep(CLAIM).await;
        }
    }

    /// One run: fence, read the progress, relay.
    async fn mirror(&self, lease: &mut Lease) -> Result<(), End> {
        lease.renew().await.map_err(|_| End::Lost)?;
        let producer = self.kafka.init().await?;
        self.world.injected("takeover");
        let progress = self.kafka.progress().await?;
        let progress = progress.and_then(|text| serde_json::from_slice(&text).ok());
        let progress = progress.unwrap_or_else(|| self.beginning());
        let stream = self.world.events();
        let mut reader = self
            .bus
            .reader(&stream, None, progress.seq + 1, OPTIONS)
            .await?;
        let mut relay = Relay::new(progress.seq, COMMIT_INTERVAL);
        let mut shard = Shard {
            bridge: self,
            producer,
            progress,
        };
        loop {
            let renew = lease.deadline() - lease.ttl() / 3 * 2;
            if Instant::now() >= renew {
                lease.renew().await.map_err(|_| End::Lost)?;
            }
            let tick = relay.deadline().unwrap_or_else(|| Instant::now() + SILENCE);
            // Both are cancel safe: they only wait, and the reader keeps what it has.
            let actions = tokio::select! {
                biased;
                events = reader.next_batch(), if relay.wants_events() => {
                    let (events, caught_up) = (events?, reader.pending() == 0);
                    let first = if relay.jumps(&events) {
                        self.bus.stream_state(&stream).await?.first_seq
                    } else {
                        0
                    };
                    relay.events(events, first, caught_up, Instant::now())
                }
                () = sleep_until(tick.min(renew)) => {
                    let mut actions = relay.tick(Instant::now());
                    if actions.is_empty() && relay.is_idle() {
                        let first = self.bus.stream_state(&stream).await?.first_seq;
                        actions = relay.begins_at(first, Instant::now());
                    }
                    actions
                }
            };
            shard.perform(&mut relay, actions).await?;
        }
    }

    fn beginning(&self) -> Progress {
        Progress {
            stream: self.world.events(),
            epoch: self.world.store.epoch.clone(),
            seq: 0,
            time: 0,
            gaps: Vec::new(),
            partitions: BTreeMap::new(),
            topic_ids: BTreeMap::new(),
            passed: BTreeMap::new(),
            lease: 0,
        }
    }
}

/// One producer and what it has committed.
struct Shard<'a> {
    bridge: &'a Bridge,
    producer: u64,
    progress: Progress,
}

impl Shard<'_> {
    async fn perform(&mut self, relay: &mut Relay, actions: Vec<Action>) -> Result<(), End> {
        let mut actions = actions;
        while !actions.is_empty() {
            for action in std::mem::take(&mut actions) {
                match action {
                    Action::Produce(events) => self.produce(events).await?,
                    Action::Commit(point) => {
                        self.commit(point).await?;
                        actions.extend(relay.committed(Instant::now()));
                    }
                }
            }
        }
        Ok(())
    }

    async fn produce(&self, events: Vec<Stored>) -> Result<(), End> {
        let records: Vec<_> = events.iter().filter_map(record).collect();
        // In two parts, so that a transaction can end in between.
        let (first, second) = records.split_at(records.len() / 2);
        for part in [first, second].into_iter().filter(|part| !part.is_empty()) {
            self.bridge
                .kafka
                .produce(self.producer, part.to_vec())
                .await?;
        }
        Ok(())
    }

    async fn commit(&mut self, point: CommitPoint) -> Result<(), End> {
        self.progress.seq = point.seq;
        self.progress.time = point.time_us.unwrap_or(self.progress.time);
        let kafka = &self.bridge.kafka;
        let gaps: Vec<_> = point.gaps.iter().map(gap).collect();
        if !gaps.is_empty() {
            kafka.produce(self.producer, gaps).await?;
        }
        let text = serde_json::to_vec(&self.progress).unwrap_or_default();
        if self.bridge.world.has(Plant::ProgressOutside) {
            kafka.write_outside(Target::Progress, text).await?;
        } else {
            let record = vec![(Target::Progress, text)];
            kafka.produce(self.producer, record).await?;
        }
        Ok(kafka.commit(self.producer).await?)
    }
}

fn gap(gap: &MirrorGap) -> (Target, Vec<u8>) {
    let value = json!({ "gap": gap }).to_string().into_bytes();
    (Target::Partition("gaps".into(), 0), value)
}

/// An event as a record; `None` for what is not mirrored.
fn record(event: &Stored) -> Option<(Target, Vec<u8>)> {
    let parsed = Parsed::parse(&event.subject).ok()?;
    let topic = topic(TOPIC_PREFIX_DEFAULT, &parsed)?;
    let channel = channel(&event.subject);
    let partition = i32::from(body(channel.as_bytes()).is_multiple_of(2));
    let value = json!({
        "seq": event.seq,
        "key": channel,
        "channel": channel,
        "body": body(&event.payload),
        "id": event.headers.get(header::ID),
    });
    let value = value.to_string().into_bytes();
    Some((Target::Partition(topic, partition), value))
}
