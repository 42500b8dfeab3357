//! The threads that run guests: one per core, Tokio's stay free for I/O. A lane
//! stays on one thread, where its warm instance is.
//!
//! Each thread owns its instances; nobody else sees one. Queues are bounded: a
//! lane has one call open at a time, and waits when its thread's queue is full.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use tokio::sync::{mpsc, oneshot};

use super::abi::Batch;
use super::bisect;
use super::fault::{Broken, Fault};
use super::instance::Instance;
use super::module::Program;
use super::pack::Item;
use super::reply::Handled;

/// Calls that wait for one thread; beyond that lanes wait to hand theirs over.
const QUEUE_CALLS_MAX: usize = 64;
/// Stack of a thread that runs guests, bytes: the guest's own and ours.
const THREAD_STACK_BYTES: usize = 4 << 20;
/// A batch buffer larger than this is not kept for the next batch.
const BUFFER_BYTES_KEPT: usize = 1 << 20;

struct Call {
    key: Weak<u16>,
    program: Arc<Program>,
    items: Vec<Item>,
    reply: oneshot::Sender<Result<Vec<Handled>, Broken>>,
}

/// The threads.
#[derive(Debug)]
pub struct GuestPool {
    threads: Vec<mpsc::Sender<Call>>,
    next: AtomicUsize,
}

/// One lane's place on one thread. Dropping it frees the instance.
#[derive(Debug)]
pub struct Guest {
    key: Arc<u16>,
    thread: mpsc::Sender<Call>,
}

impl GuestPool {
    /// Starts the threads; they end when the pool and all guests are dropped.
    /// `event_bytes_max` bounds the data of one emission.
    ///
    /// # Errors
    /// The system's, when a thread cannot be started.
    pub fn start(threads: usize, event_bytes_max: usize) -> std::io::Result<Self> {
        let start = |n: usize| {
            let (sender, calls) = mpsc::channel(QUEUE_CALLS_MAX);
            let body = move || {
                Thread {
                    instances: HashMap::new(),
                    buffer: Arc::default(),
                    event_bytes_max,
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
            thread: self.threads[at].clone(),
        }
    }
}

impl Guest {
    /// Runs a batch on the lane's instance; see [`bisect::run`] for what comes back.
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
            program,
            items,
            reply,
        };
        self.thread.send(call).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

struct Slot {
    key: Weak<u16>,
    program: Arc<Program>,
    instance: Option<Instance>,
}

struct Thread {
    instances: HashMap<usize, Slot>,
    buffer: Arc<Batch>,
    event_bytes_max: usize,
}

impl Thread {
    fn run(mut self, mut calls: mpsc::Receiver<Call>) {
        while let Some(call) = calls.blocking_recv() {
            self.instances.retain(|_, slot| slot.key.strong_count() > 0);
            let result = self.call(&call);
            // The lane may have gone; then nobody wants the answer.
            let _ = call.reply.send(result);
        }
    }

    fn call(&mut self, call: &Call) -> Result<Vec<Handled>, Broken> {
        let Some(key) = call.key.upgrade() else {
            return Err(Broken::Unavailable("the lane has gone".into()));
        };
        let fresh = || Slot {
            key: call.key.clone(),
            program: call.program.clone(),
            instance: None,
        };
        let slot = self
            .instances
            .entry(Arc::as_ptr(&key).addr())
            .or_insert_with(fresh);
        if !Arc::ptr_eq(&slot.program, &call.program) {
            *slot = fresh();
        }
        let (buffer, max) = (&mut self.buffer, self.event_bytes_max);
        let result = bisect::run(&call.items, |items| slot.handle(items, *key, buffer, max));
        if buffer.arena.capacity() > BUFFER_BYTES_KEPT {
            *buffer = Arc::default();
        }
        result
    }
}

impl Slot {
    fn handle(
        &mut self,
        items: &[Item],
        lane: u16,
        buffer: &mut Arc<Batch>,
        max: usize,
    ) -> Result<Result<Vec<Handled>, Fault>, Broken> {
        let mut instance = match self.instance.take() {
            Some(instance) => instance,
            None => Instance::new(&self.program, lane)?,
        };
        let result = instance.handle(items, buffer, max);
        match &result {
            Ok(_) => self.instance = Some(instance),
            // A trap poisons the store: the next call gets a fresh one.
            Err(fault) => {
                let function = self.program.spec.name.as_str().to_owned();
                metrics::counter!("function_faults_total", "function" => function, "kind" => fault.kind()).increment(1);
            }
        }
        Ok(result)
    }
}
