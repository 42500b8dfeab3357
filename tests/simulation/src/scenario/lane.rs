//! Workers that take one lane over from one another, die at any step, stand still and
//! wake up: each input has its results once, in order.
//!
//! Owns the workers. What runs is the product's takeover, state machine and commit; the
//! loop between them is written here again, because the product's calls guests on
//! threads, which have no virtual time. Guests are a function of the event.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bus::lease::Lease;
use bus::{Bus, ReaderOptions};
use checker::Function;
use host::fault::Fault;
use host::pack::Item;
use host::reply::{Done, Emit, Handled};
use parking_lot::Mutex;
use protocol::checkpoint::{Checkpoint, Digest};
use protocol::header::{self, USER_PREFIX};
use protocol::spec::{FunctionSpec, Trigger};
use protocol::state::Entry;
use protocol::stream::Bucket;
use protocol::subject::Kind;
use service::clock::now_us;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};
use workers::LaneError;
use workers::intake::{Intakes, Tap};
use workers::lane::commit;
use workers::lane::guard::Landed;
use workers::lane::messages::Scope;
use workers::lane::progress::Key;
use workers::lane::range;
use workers::lane::recall;
use workers::lane::state::{Action, Machine};
use workers::lane::takeover::{self, TakeoverError};
use workers::lane::time;

use super::author::{self, Author};
use crate::plan::{Act, Mix, Step};
use crate::process::Process;
use crate::world::{World, channel_of, gate};

const WORKERS: u32 = 3;
/// Under which key the function counts, and the header in which it says so.
const COUNT: &str = "count";
/// How often a lane that another holds is asked for.
const CLAIM: Duration = Duration::from_millis(700);
const OPTIONS: ReaderOptions = ReaderOptions {
    batch: 16,
    bytes_max: 1 << 20,
};

pub const MIX: Mix = &[
    (50, Act::Work, 0, 4),
    (4, Act::Crash, WORKERS - 1, 40),
    (4, Act::Sleep, WORKERS - 1, 12_000),
    (4, Act::Cut, WORKERS, 1_400),
    (3, Act::Break, WORKERS, 300),
    (3, Act::Weather, 0, 2),
    (3, Act::Stale, 2, 5_000),
    (3, Act::Leader, 2, 2_000),
    (2, Act::Readers, 1, 0),
    (1, Act::Batch, 0, 0),
    (1, Act::Clock, 0, 40),
    (3, Act::Pass, 0, 4),
];

/// The lane and who works on it.
pub struct Scene {
    world: World,
    author: Author,
    workers: Vec<Process>,
    scope: Scope,
}

impl Scene {
    pub fn start(world: &World) -> Self {
        let scope = scope(world);
        let workers = (0..WORKERS).map(|n| start(world, &scope, n)).collect();
        Self {
            world: world.clone(),
            author: Author::start(world, Kind::In),
            workers,
            scope,
        }
    }

    pub fn take(&mut self, step: &Step) {
        let who = step.who as usize;
        match step.act {
            Act::Work => self.author.write(step.much),
            Act::Crash => {
                self.workers[who].crash(step.much);
                self.world.injected("crash");
            }
            Act::Sleep => {
                self.workers[who].sleep(Duration::from_millis(step.much.into()));
                self.world.injected("sleep");
            }
            Act::Cut | Act::Break => self.world.trouble(step, name(step.who)),
            _ => {}
        }
        self.revive();
    }

    /// Whoever died is started again, as any supervisor does.
    fn revive(&mut self) {
        for (n, worker) in (0..).zip(&mut self.workers) {
            if worker.is_over() {
                *worker = start(&self.world, &self.scope, n);
            }
        }
    }

    pub async fn end(mut self) {
        self.world.calm((0..=WORKERS).map(name));
        self.workers.iter().for_each(Process::spare);
        self.revive();
        let (world, author) = (self.world.clone(), &self.author);
        world
            .rest("the lane", || author.is_done() && is_settled(&world))
            .await;
        check_counts(&world);
        world.record(&world.ingress());
        world.record(&world.events());
        world.history.record(Function {
            name: "probe".into(),
            input_stream: world.ingress().to_string(),
            output_stream: world.events().to_string(),
            channels: vec!["acme/doc.>".into()],
            start_seq: 1,
            silent_allowed: false,
            every_s: None,
            expectation: None,
        });
    }
}

/// The last is the author.
fn name(who: u32) -> String {
    if who == WORKERS {
        author::NAME.into()
    } else {
        format!("worker-{who}")
    }
}

/// Whether every input is behind the last checkpoint.
fn is_settled(world: &World) -> bool {
    let inputs = world.model.events(&world.ingress());
    let outputs = world.model.events(&world.events());
    let mut checkpoints = outputs.iter().rev();
    let last = checkpoints.find(|event| event.subject.starts_with("ck."));
    let last = last.and_then(|event| serde_json::from_slice::<Checkpoint>(&event.payload).ok());
    match (inputs.last(), last) {
        (None, _) => true,
        (Some(input), Some(last)) => is_done(&last, input.seq),
        (Some(_), None) => false,
    }
}

fn is_done(last: &Checkpoint, seq: u64) -> bool {
    let waits = last.base != 0 || !last.parked.is_empty() || !last.held.is_empty();
    last.seq >= seq && !waits
}

fn scope(world: &World) -> Scope {
    let (digest, store) = (Digest::from_bytes([7; 32]), world.store.name.clone());
    let mut spec = FunctionSpec::new(gate(), digest, store, Trigger::Gate);
    spec.limits.attempts = 3;
    Scope {
        spec: Arc::new(spec),
        store: world.store.clone(),
        lane: world.lane(&channel_of("doc.0")),
        remembers: true,
    }
}

fn start(world: &World, scope: &Scope, n: u32) -> Process {
    let bus = world.model.connect(&name(n));
    let worker = Worker {
        world: world.clone(),
        intakes: Intakes::new(bus.clone(), OPTIONS),
        bus,
        scope: scope.clone(),
    };
    Process::start(async move { worker.run(n).await })
}

struct Worker {
    world: World,
    bus: Bus,
    intakes: Intakes,
    scope: Scope,
}

/// What is known of a lease while the work goes on beside its renewal.
struct Held {
    revision: u64,
    /// Until when it is held; `None` once it is lost.
    until: Mutex<Option<Instant>>,
    over: Notify,
}

impl Held {
    fn is_lost(&self) -> bool {
        self.until
            .lock()
            .is_none_or(|until| Instant::now() >= until)
    }
}

impl Worker {
    async fn run(&self, n: u32) {
        sleep(CLAIM * n / WORKERS).await;
        let leases = loop {
            match self.bus.kv(Bucket::Leases).await {
                Ok(leases) => break leases,
                Err(_) => sleep(CLAIM).await,
            }
        };
        loop {
            if let Ok(Some(lease)) = Lease::acquire(&leases, "lane.0", &name(n)).await {
                self.hold(lease).await;
            }
            sleep(CLAIM).await;
        }
    }

    async fn hold(&self, mut lease: Lease) {
        let held = Held {
            revision: lease.revision(),
            until: Mutex::new(Some(lease.deadline())),
            over: Notify::new(),
        };
        let keep = async {
            loop {
                let due = lease.deadline() - (lease.ttl() - lease.ttl() / 3);
                // Both are cancel safe: they only wait.
                tokio::select! {
                    biased;
                    () = held.over.notified() => break,
                    () = sleep_until(due) => {}
                }
                let renewed = lease.renew().await.ok().map(|()| lease.deadline());
                *held.until.lock() = renewed;
                if renewed.is_none() {
                    break;
                }
            }
        };
        let work = async {
            match self.drive(&held).await {
                Err(error) if !error.temporary() => {
                    self.world.problem(format!("the lane fails: {error}"));
                }
                _ => {}
            }
            held.over.notify_one();
        };
        tokio::join!(keep, work);
        lease.release().await;
    }

    /// Runs the lane until the lease is lost or something fails.
    async fn drive(&self, held: &Held) -> Result<(), LaneError> {
        let lost = || held.is_lost();
        loop {
            let (faults, scope) = (&self.world.faults, &self.scope);
            let taken = match takeover::take(&self.bus, scope, held.revision, faults, &lost).await {
                Ok(taken) => taken,
                Err(TakeoverError::Superseded) => return Ok(()),
                Err(TakeoverError::Bus(error)) => return Err(error.into()),
                Err(TakeoverError::Alarm(reason)) => {
                    self.world
                        .problem(format!("an alarm without a reason: {reason}"));
                    return Ok(());
                }
            };
            self.world.injected("takeover");
            let filter = scope.filter();
            let mut tap = self.intakes.attach(&scope.stream(), &filter, taken.from);
            let mut fence = taken.fence.expect("the function remembers");
            let mut machine = Machine::resume(
                scope.clone(),
                &taken.checkpoint,
                taken.guard,
                held.revision,
                7,
            );
            'owned: while !held.is_lost() {
                let mut action = Some(machine.next(now_us()));
                while let Some(current) = action.take() {
                    let lane = (&mut machine, &mut tap, &mut fence);
                    match self.act(lane, current, held).await? {
                        Next::On => {}
                        Next::Action(next) => action = Some(next),
                        Next::Anew => break 'owned,
                        Next::End => return Ok(()),
                    }
                }
            }
            if held.is_lost() {
                return Ok(());
            }
        }
    }

    async fn act(
        &self,
        (machine, tap, fence): (&mut Machine, &mut Tap, &mut u64),
        action: Action,
        held: &Held,
    ) -> Result<Next, LaneError> {
        match action {
            Action::Run(items) => {
                // A guest takes a moment, in which its worker may die.
                sleep(Duration::from_millis(1)).await;
                machine.ran(guests(&items), now_us());
            }
            Action::Recall(keys) => match recall::load(&self.bus, &self.scope, keys).await {
                Ok(read) => return Ok(Next::Action(machine.recalled(read))),
                Err(_) => {
                    machine.run_failed(None);
                    sleep(CLAIM).await;
                }
            },
            Action::Commit(mut commit) => {
                let (scope, faults) = (&self.scope, &self.world.faults);
                if let Some(change) = commit.change.take() {
                    let (place, lost) = ((held.revision, *fence), || held.is_lost());
                    match recall::store(&self.bus, scope, &change, place, lost).await? {
                        Landed::At(seq) => *fence = seq,
                        Landed::Superseded => return Ok(Next::End),
                        Landed::Moved => return Ok(Next::Anew),
                    }
                }
                match commit::store(&self.bus, scope, *commit, faults, || held.is_lost()).await? {
                    Landed::At(seq) => machine.committed(seq),
                    Landed::Superseded => return Ok(Next::End),
                    Landed::Moved => return Ok(Next::Anew),
                }
            }
            Action::ReadParked { subject, from, to } => {
                let read = range::read(&self.bus, &self.scope, &subject, from, to).await;
                let (events, complete) = read.unwrap_or_default();
                let next = machine.parked_read(events, complete, now_us());
                return Ok(next.map_or(Next::On, Next::Action));
            }
            Action::Wait { until, hungry } => {
                let pause = until.map_or(u64::MAX, |until| until.saturating_sub(now_us()));
                // Woken at least as often as a loss of the lease has to be noticed.
                let pause = Duration::from_micros(pause).min(Duration::from_secs(1));
                // Both are cancel safe: they only wait, and the tap keeps what it has.
                tokio::select! {
                    biased;
                    events = tap.next_batch(), if hungry => machine.push(events?),
                    () = sleep(pause) => {}
                }
            }
            Action::AskTime => time::tell(&self.bus, &self.scope, machine).await,
            Action::Halted(reason) => {
                self.world.problem(format!("the function halts: {reason}"));
                return Ok(Next::End);
            }
            Action::Done => return Ok(Next::End),
        }
        Ok(Next::On)
    }
}

#[allow(clippy::large_enum_variant, reason = "there is one, for a moment")]
enum Next {
    On,
    Action(Action),
    /// To be taken over anew.
    Anew,
    End,
}

/// Whether each event that passed has counted once: the outputs say what the function
/// remembered when it made them.
fn check_counts(world: &World) {
    let mut counted: BTreeMap<String, (String, u64)> = BTreeMap::new();
    for event in world.model.events(&world.events()) {
        let Some(count) = event.headers.get(&format!("{USER_PREFIX}{COUNT}")) else {
            continue;
        };
        let source = event.headers.get(header::SOURCE).unwrap_or_default();
        let (before, last) = counted.entry(event.subject.clone()).or_default();
        if before != source {
            (*before, *last) = (source.to_owned(), *last + 1);
        }
        if count != last.to_string() {
            let (subject, seq) = (&event.subject, event.seq);
            world.problem(format!(
                "{subject}: the {last}th to pass says {count} ({seq})"
            ));
        }
    }
}

/// What the guest makes of a batch: it counts the events of each channel that pass.
fn guests(items: &[Item]) -> Vec<Handled> {
    let mut counts: BTreeMap<Key, u64> = BTreeMap::new();
    let handled = items.iter().map(|item| {
        let event = &item.event;
        let count = counts
            .entry((event.tenant.clone(), event.channel.clone()))
            .or_insert_with(|| remembered(item));
        guest(item, count)
    });
    handled.collect()
}

fn remembered(item: &Item) -> u64 {
    let memory = item.memory.as_ref().expect("the function remembers");
    let count = memory.get(COUNT, item.event.stored.time_us);
    let text = count.and_then(|entry| std::str::from_utf8(&entry.value).ok());
    text.map_or(0, |text| text.parse().expect("a number was written"))
}

/// What the guest makes of an event: a function of it, of the attempt and of the count.
fn guest(item: &Item, count: &mut u64) -> Handled {
    let seq = item.event.seq();
    let kind = seq.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 60;
    let next = *count + 1;
    let emit = |_| Emit {
        channel: item.event.channel.clone(),
        content_type: None,
        headers: vec![(COUNT.into(), next.to_string())],
        data: item.event.stored.payload.clone(),
    };
    match kind {
        0 => Handled::Drop("not wanted".into()),
        1 => Handled::Reject("not good".into()),
        2 => Handled::Fault(Fault::Trap("always".into())),
        3 if item.attempt < 3 => Handled::Retry {
            delay_ms: 20,
            reason: "not yet".into(),
        },
        4 if item.attempt < 2 => Handled::Fault(Fault::Trap("once".into())),
        kind => {
            *count = next;
            let value = next.to_string().into();
            Handled::Ack(Done {
                emits: (0..1 + kind % 3).map(emit).collect(),
                changes: vec![(COUNT.into(), Some(Entry { value, until: 0 }))],
            })
        }
    }
}
