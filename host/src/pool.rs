//! The threads that run guests: one per core, Tokio's stay free for I/O. A lane
//! stays on one thread, where its warm instance is; functions take turns there.
//!
//! Each thread owns its instances; nobody else sees one. Queues are bounded: a
//! lane has one call open at a time, and waits when its thread's queue is full.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use protocol::spec::Isolation;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::abi::Batch;
use super::account::{Account, Accounts};
use super::cpu;
use super::culprit::{self, Called};
use super::fault::Broken;
use super::instance::Instance;
use super::memory::Memories;
use super::module::{Program, Stage};
use super::pack::Item;
use super::pipeline;
use super::reply::Handled;
use super::turns::{Turns, Who};

/// Calls that wait for one thread; beyond that lanes wait to hand theirs over.
const QUEUE_CALLS_MAX: usize = 64;
/// Deadlines of its function that a call may hold its thread for before what is left of
/// its events comes back: one on the whole batch and one on the culprit.
const TURN_DEADLINES: u32 = 2;
/// Stack of a thread that runs guests, bytes: the guest's own and ours.
const THREAD_STACK_BYTES: usize = 4 << 20;
/// A batch buffer larger than this is not kept for the next batch.
const BUFFER_BYTES_KEPT: usize = 1 << 20;

struct Call {
    key: Weak<u16>,
    cost: Arc<Cost>,
    program: Arc<Program>,
    items: Vec<Item>,
    reply: oneshot::Sender<Result<Vec<Handled>, Broken>>,
}

impl Call {
    fn who(&self) -> Who {
        let spec = &self.program.spec;
        (spec.name.clone(), spec.version)
    }
}

/// The threads.
#[derive(Debug)]
pub struct GuestPool {
    threads: Vec<mpsc::Sender<Call>>,
    next: AtomicUsize,
}

/// What one lane's calls cost, and what its instances hold.
#[derive(Debug, Default)]
pub struct Cost {
    cpu_ns: AtomicU64,
    memory_bytes: AtomicU64,
}

impl Cost {
    /// Processor time of the calls since this was last asked.
    pub fn take_cpu(&self) -> Duration {
        Duration::from_nanos(self.cpu_ns.swap(0, Ordering::Relaxed))
    }

    /// Linear memory that its instances have taken, bytes; 0 while there is none.
    pub fn memory_bytes(&self) -> u64 {
        self.memory_bytes.load(Ordering::Relaxed)
    }

    fn charge(&self, time: Duration) {
        let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.cpu_ns.fetch_add(ns, Ordering::Relaxed);
    }

    fn holds(&self, instances: &[Option<Instance>]) {
        let held = instances.iter().flatten().map(Instance::memory_bytes);
        let bytes: usize = held.sum();
        self.memory_bytes.store(bytes as u64, Ordering::Relaxed);
    }
}

/// One lane's place on one thread. Dropping it frees the instance.
#[derive(Debug)]
pub struct Guest {
    key: Arc<u16>,
    cost: Arc<Cost>,
    thread: mpsc::Sender<Call>,
}

impl GuestPool {
    /// Starts the threads; they end when the pool and all guests are dropped.
    /// `event_bytes_max` bounds the data of one emission.
    ///
    /// # Errors
    /// The system's, when a thread cannot be started.
    pub fn start(
        threads: usize,
        event_bytes_max: usize,
        accounts: &Arc<Accounts>,
    ) -> std::io::Result<Self> {
        let start = |n: usize| {
            let accounts = accounts.clone();
            let (sender, calls) = mpsc::channel(QUEUE_CALLS_MAX);
            let body = move || {
                Thread {
                    slots: HashMap::new(),
                    buffer: Arc::default(),
                    event_bytes_max,
                    accounts,
                    turn: 0,
                }
                .run(calls)
            };
            std::thread::Builder::new()
                .name(format!("guest-{n}"))
                .stack_size(THREAD_STACK_BYTES)
                .spawn(body)?;
            Ok(sender)
        };
        Ok(Self {
            threads: (0..threads.max(1))
                .map(start)
                .collect::<std::io::Result<_>>()?,
            next: AtomicUsize::new(0),
        })
    }

    /// A place for a lane, on the next thread in turn.
    pub fn attach(&self, lane: u16) -> Guest {
        let at = self.next.fetch_add(1, Ordering::Relaxed) % self.threads.len();
        Guest {
            key: Arc::new(lane),
            cost: Arc::default(),
            thread: self.threads[at].clone(),
        }
    }
}

impl Guest {
    /// What its calls cost; stays when the guest is gone.
    pub fn cost(&self) -> &Arc<Cost> {
        &self.cost
    }

    /// Runs a batch on the lane's instance; see [`culprit::run`] for what comes back.
    /// Dropping the future leaves the call running and its answer unread.
    ///
    /// # Errors
    /// [`Broken`] when the function cannot be called; no event is to blame.
    pub async fn run(
        &self,
        program: Arc<Program>,
        items: Vec<Item>,
    ) -> Result<Vec<Handled>, Broken> {
        let (reply, answer) = oneshot::channel();
        let gone = || Broken::Unavailable("the guest thread has ended".into());
        let call = Call {
            key: Arc::downgrade(&self.key),
            cost: self.cost.clone(),
            program,
            items,
            reply,
        };
        self.thread.send(call).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

/// One lane's instances.
struct Slot {
    key: Weak<u16>,
    cost: Arc<Cost>,
    program: Arc<Program>,
    account: Arc<Account>,
    /// One for each stage.
    instances: Vec<Option<Instance>>,
    /// Which turn of the thread used it last.
    used: u64,
}

struct Thread {
    slots: HashMap<usize, Slot>,
    buffer: Arc<Batch>,
    event_bytes_max: usize,
    accounts: Arc<Accounts>,
    turn: u64,
}

impl Thread {
    fn run(mut self, mut calls: mpsc::Receiver<Call>) {
        let mut turns = Turns::default();
        loop {
            if turns.waiting() == 0 {
                let Some(call) = calls.blocking_recv() else {
                    return;
                };
                turns.push(call.who(), call);
            }
            while turns.waiting() < QUEUE_CALLS_MAX {
                let Ok(call) = calls.try_recv() else {
                    break;
                };
                turns.push(call.who(), call);
            }
            let (call, rests) = turns.pop(Instant::now()).expect("a call waits");
            if rests {
                metrics::counter!("function_rests_total").increment(1);
                let _ = call.reply.send(Err(Broken::Rests));
                continue;
            }
            let began = cpu::thread_time();
            self.slots.retain(|_, slot| slot.key.strong_count() > 0);
            let result = self.call(&call);
            let time = cpu::thread_time().saturating_sub(began);
            let who = call.who();
            turns.charge(&who, time);
            call.cost.charge(time);
            let failed = |handled: &Handled| matches!(handled, Handled::Fault(_));
            if result.iter().flatten().any(failed) {
                turns.failed(&who, time, Instant::now());
            }
            // The lane may have gone; then nobody wants the answer.
            let _ = call.reply.send(result);
        }
    }

    fn call(&mut self, call: &Call) -> Result<Vec<Handled>, Broken> {
        let Some(key) = call.key.upgrade() else {
            return Err(Broken::Unavailable("the lane has gone".into()));
        };
        self.turn += 1;
        let at = Arc::as_ptr(&key).addr();
        let kept = self.slots.remove(&at);
        let kept = kept.filter(|slot| Arc::ptr_eq(&slot.program, &call.program));
        let mut slot = kept.unwrap_or_else(|| Slot {
            key: call.key.clone(),
            cost: call.cost.clone(),
            program: call.program.clone(),
            account: self.accounts.of(&call.program.spec.name),
            instances: call.program.stages.iter().map(|_| None).collect(),
            used: 0,
        });
        slot.used = self.turn;
        let result = self.stages(&mut slot, *key, &call.items);
        slot.cost.holds(&slot.instances);
        self.slots.insert(at, slot);
        if self.buffer.arena.capacity() > BUFFER_BYTES_KEPT {
            self.buffer = Arc::default();
        }
        result
    }

    /// Hands events through all stages.
    fn stages(
        &mut self,
        slot: &mut Slot,
        lane: u16,
        items: &[Item],
    ) -> Result<Vec<Handled>, Broken> {
        let (program, began) = (slot.program.clone(), cpu::thread_time());
        let (count, limits) = (program.stages.len(), &program.spec.limits);
        let turn = TURN_DEADLINES * Duration::from_millis(limits.deadline_ms);
        let over = || cpu::thread_time().saturating_sub(began) >= turn;
        let call = |stage, items: &[Item]| self.stage(slot, stage, lane, items, over);
        match (count, program.remembers()) {
            (1, _) => self.stage(slot, 0, lane, items, over),
            (_, false) => pipeline::run(items, count, limits, call),
            (_, true) => pipeline::run_remembering(items, count, limits, over, call),
        }
    }

    /// Hands events to one stage; see [`culprit::run`] for what comes back.
    fn stage(
        &mut self,
        slot: &mut Slot,
        stage: usize,
        lane: u16,
        items: &[Item],
        over: impl Fn() -> bool,
    ) -> Result<Vec<Handled>, Broken> {
        let of = &slot.program.clone().stages[stage];
        let mut memories = match of.module.remembers {
            true => Memories::new(of.name.as_ref(), items),
            false => Memories::default(),
        };
        let result = culprit::run(items, |items| {
            if slot.instances[stage].is_none() {
                slot.instances[stage] = Some(self.instance(slot, of, lane)?);
            }
            let max = self.event_bytes_max;
            let mut called = slot.handle(stage, items, &mut self.buffer, max, &mut memories);
            called.over |= over();
            Ok(called)
        });
        result.map(|handled| memories.settle(items, handled))
    }

    /// A fresh instance; those of the lane that was called longest ago make room for it
    /// where there is none.
    fn instance(&mut self, slot: &Slot, stage: &Stage, lane: u16) -> Result<Instance, Broken> {
        loop {
            let made = Instance::of(stage, lane, slot.account.clone());
            let made = made.map_err(|error| stage.broken(error));
            let Err(Broken::Unavailable(_)) = &made else {
                return made;
            };
            let idle = self.slots.values_mut();
            let idle = idle.filter(|slot| slot.instances.iter().any(Option::is_some));
            let Some(oldest) = idle.min_by_key(|slot| slot.used) else {
                return made;
            };
            let evicted = oldest.instances.iter_mut().filter_map(Option::take);
            let evicted = evicted.count() as u64;
            oldest.cost.holds(&oldest.instances);
            metrics::counter!("function_instances_evicted_total").increment(evicted);
        }
    }
}

impl Slot {
    /// Hands events to the instance, which is there.
    fn handle(
        &mut self,
        stage: usize,
        items: &[Item],
        buffer: &mut Arc<Batch>,
        max: usize,
        memories: &mut Memories,
    ) -> Called {
        let isolation = self.program.spec.limits.isolation;
        let items = match isolation {
            Isolation::FreshPerEvent => &items[..1],
            Isolation::Warm | Isolation::FreshPerBatch => items,
        };
        let mut instance = self.instances[stage]
            .take()
            .expect("the caller has made one");
        let called = instance.handle_with(memories, items, buffer, max);
        match &called.fault {
            None if isolation == Isolation::Warm => {
                self.instances[stage] = Some(instance);
            }
            None => {}
            // A trap poisons the store: the next call gets a fresh one.
            Some(fault) => {
                let function = self.program.spec.name.as_str().to_owned();
                metrics::counter!("function_faults_total", "function" => function, "kind" => fault.kind()).increment(1);
            }
        }
        called
    }
}
