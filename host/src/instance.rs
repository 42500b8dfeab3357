//! One instance: a store, and the exports of the guest.
//!
//! Owns the store. An instance whose call failed must not be used again: the
//! caller drops it.

use std::sync::Arc;
use std::time::Duration;

use protocol::spec::FunctionLimits;
use wasmtime::component::TypedFunc;
use wasmtime::{PoolConcurrencyLimitError, Store, Trap, UpdateDeadline};

use super::abi::{Batch, Reply};
use super::account::Account;
use super::ambient::Ambient;
use super::cpu;
use super::culprit::Called;
use super::fault::{Broken, Fault, ReplyFault};
use super::memory::Memories;
use super::module::{Program, Stage, World};
use super::pack::{Item, pack};
use super::pipeline::WAITS;
use super::reply::{self, Handled};
use super::single::{self, EventRecord, Outcome};

type Pairs = Vec<(String, String)>;

/// Ticks until a running guest is looked at again.
const LOOK_TICKS: u64 = 1;
/// Characters of a trap's message that are kept.
const TRAP_CHARS_MAX: usize = 300;
/// What a guest may hand to the host in one call beside its outputs, bytes: outcomes and
/// reasons, a log line. Without a bound a list could name one text a million times.
const CALL_BYTES_SPARE: usize = 4 << 20;

enum Handle {
    Worker(TypedFunc<(Arc<Batch>,), (Reply,)>),
    Simple(TypedFunc<(EventRecord,), (Outcome,)>),
}

/// An instance that has been initialised.
pub struct Instance {
    store: Store<Ambient>,
    handle: Handle,
}

impl Instance {
    /// Makes an instance of a function's first stage and lets it initialise itself.
    ///
    /// # Errors
    /// [`Broken`] says whether another try may help.
    pub fn new(program: &Program, lane: u16, account: Arc<Account>) -> Result<Self, Broken> {
        Self::of(&program.stages[0], lane, account)
    }

    /// The same of any stage.
    pub(crate) fn of(stage: &Stage, lane: u16, account: Arc<Account>) -> Result<Self, Broken> {
        let Stage { spec, module, name } = stage;
        let ambient = Ambient::new(spec.clone(), name.clone(), lane, account);
        let mut store = store(stage, ambient);
        begin_call(&mut store, &[]);
        let instance = module.pre.instantiate(&mut store);
        let instance = instance.map_err(|error| no_instance(&store, &error))?;
        let exports = &module.exports;
        let start = instance
            .get_typed_func::<(Pairs,), (Result<(), String>,)>(&mut store, &exports.start)
            .map_err(|error| mistyped(&error))?;
        let handle = match exports.world {
            World::Worker => instance
                .get_typed_func(&mut store, exports.handle)
                .map(Handle::Worker),
            World::Simple => instance
                .get_typed_func(&mut store, exports.handle)
                .map(Handle::Simple),
        }
        .map_err(|error| mistyped(&error))?;
        let config = spec.config.iter();
        let config: Pairs = config
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        begin_call(&mut store, &[]);
        let result = start.call(&mut store, (config,));
        store.data_mut().end();
        let (result,) =
            result.map_err(|error| Broken::Init(fault(store.data(), &error).to_string()))?;
        result.map_err(|reason| Broken::Init(reply::cut_reason(reason.as_bytes())))?;
        Ok(Self { store, handle })
    }

    /// Hands events to the guest: a batch at once to the world `worker`, where `buffer` is
    /// taken for the time of the call, one by one to the world `simple`. The instance must
    /// be dropped when a fault comes back.
    ///
    /// `memories` are those of the events, or none at all.
    pub fn handle_with(
        &mut self,
        memories: &mut Memories,
        items: &[Item],
        buffer: &mut Arc<Batch>,
        event_bytes_max: usize,
    ) -> Called {
        std::mem::swap(&mut self.store.data_mut().memories, memories);
        let called = match &self.handle {
            Handle::Worker(handle) => {
                batch(&mut self.store, handle, items, buffer, event_bytes_max)
            }
            Handle::Simple(handle) => one_by_one(&mut self.store, handle, items, event_bytes_max),
        };
        std::mem::swap(&mut self.store.data_mut().memories, memories);
        called
    }

    /// The same for a guest that remembers nothing.
    pub fn handle(
        &mut self,
        items: &[Item],
        buffer: &mut Arc<Batch>,
        event_bytes_max: usize,
    ) -> Called {
        self.handle_with(&mut Memories::default(), items, buffer, event_bytes_max)
    }
    /// Linear memory that the guest has taken, bytes.
    pub fn memory_bytes(&self) -> usize {
        self.store.data().limits.memory_bytes()
    }

    /// Calls the guest with a batch that is packed already and drops what it answers: what
    /// a call costs before the host does anything. A yardstick, for measuring.
    ///
    /// # Errors
    /// Why the call failed; a guest of the world `simple` takes no batch.
    pub fn call_bare(&mut self, batch: &Arc<Batch>) -> Result<(), Fault> {
        let Handle::Worker(handle) = &self.handle else {
            return Err(Fault::Trap("this function takes no batch".into()));
        };
        begin_call(&mut self.store, &[]);
        let result = handle.call(&mut self.store, (batch.clone(),));
        result
            .map(drop)
            .map_err(|error| fault(self.store.data(), &error))
    }
}

fn store(stage: &Stage, ambient: Ambient) -> Store<Ambient> {
    let limits = &stage.spec.limits;
    let deadline = deadline(limits);
    let mut store = Store::new(stage.module.pre.engine(), ambient);
    store.set_hostcall_fuel(limits.output_bytes + CALL_BYTES_SPARE);
    store.limiter(|ambient| &mut ambient.limits);
    store.epoch_deadline_callback(move |mut store| {
        let ambient = store.data_mut();
        if cpu::thread_time().saturating_sub(ambient.call_began) < deadline {
            return Ok(UpdateDeadline::Continue(LOOK_TICKS));
        }
        ambient.overran = true;
        Ok(UpdateDeadline::Interrupt)
    });
    store
}

fn deadline(limits: &FunctionLimits) -> Duration {
    Duration::from_millis(limits.deadline_ms)
}

/// A whole batch in one call.
fn batch(
    store: &mut Store<Ambient>,
    handle: &TypedFunc<(Arc<Batch>,), (Reply,)>,
    items: &[Item],
    buffer: &mut Arc<Batch>,
    event_bytes_max: usize,
) -> Called {
    pack(
        items,
        Arc::get_mut(buffer).expect("the call before has given it back"),
    );
    begin_call(store, items);
    let result = handle.call(&mut *store, (buffer.clone(),));
    let ambient = store.data_mut();
    ambient.end();
    let handled = match result {
        Ok((reply,)) => reply::check(reply, items, &ambient.spec, event_bytes_max)
            .and_then(|handled| remembered(&ambient.memories, items, handled))
            .map_err(Fault::from),
        Err(error) => Err(fault(ambient, &error)),
    };
    match handled {
        Ok(handled) => Called::all(handled),
        Err(fault) => {
            ambient.memories.fail(items);
            Called::failed(fault)
        }
    }
}

/// Whether every event that is not acknowledged has taken back what it wrote: what later
/// events of its channel have read counts on it.
fn remembered(
    memories: &Memories,
    items: &[Item],
    handled: Vec<Handled>,
) -> Result<Vec<Handled>, ReplyFault> {
    let mut both = items.iter().zip(&handled);
    let left = |(item, handled): (&Item, &Handled)| {
        !matches!(handled, Handled::Ack(_)) && memories.has_written(item.event.seq())
    };
    match both.position(left) {
        Some(index) => Err(ReplyFault::Remembered { index }),
        None => Ok(handled),
    }
}

/// One call for each event, for as long as the batch's limits allow. Each event may take
/// the whole deadline, as if it were alone in its batch; none is begun after that time.
fn one_by_one(
    store: &mut Store<Ambient>,
    handle: &TypedFunc<(EventRecord,), (Outcome,)>,
    items: &[Item],
    event_bytes_max: usize,
) -> Called {
    let spec = store.data().spec.clone();
    let mut called = Called::all(Vec::with_capacity(items.len()));
    let (mut bytes, mut began) = (0, None);
    // Channels with an event to retry: the lane takes no outcome of their later ones.
    let mut parked: Vec<&Item> = Vec::new();
    for item in items {
        if parked.iter().any(|earlier| same_channel(earlier, item)) {
            called.handled.push(Handled::Retry {
                delay_ms: 0,
                reason: WAITS.into(),
            });
            continue;
        }
        begin_call(store, std::slice::from_ref(item));
        let now = store.data().call_began;
        let began = *began.get_or_insert(now);
        if now.saturating_sub(began) >= deadline(&spec.limits) {
            called.over = true;
            break;
        }
        let result = handle.call(&mut *store, (single::record(item),));
        let ambient = store.data_mut();
        ambient.end();
        let result = result
            .map_err(|error| fault(ambient, &error))
            .and_then(|(outcome,)| Ok(single::check(outcome, item, &spec, event_bytes_max)?));
        let full = |size| bytes > 0 && bytes + size > spec.limits.output_bytes;
        if !matches!(&result, Ok((Handled::Ack(_), size)) if !full(*size)) {
            ambient.memories.fail(std::slice::from_ref(item));
        }
        match result {
            // Enough for one batch: the guest is asked again about this event.
            Ok((_, size)) if full(size) => {
                called.over = true;
                break;
            }
            Ok((handled, size)) => {
                bytes += size;
                match handled {
                    Handled::Retry { .. } => parked.push(item),
                    Handled::Halt(_) => called.over = true,
                    _ => {}
                }
                called.handled.push(handled);
                if called.over {
                    break;
                }
            }
            Err(fault) => {
                called.fault = Some(fault);
                called.exact = true;
                break;
            }
        }
    }
    called
}

fn same_channel(one: &Item, other: &Item) -> bool {
    one.event.channel == other.event.channel && one.event.tenant == other.event.tenant
}

fn begin_call(store: &mut Store<Ambient>, items: &[Item]) {
    let first = items.first().map(|item| &item.event);
    store.data_mut().begin(first, items.len() == 1);
    store.data_mut().sources.clear();
    if !store.data().memories.is_empty() {
        let sources = items.iter().map(|item| item.event.seq());
        store.data_mut().sources.extend(sources);
    }
    store.set_epoch_deadline(LOOK_TICKS);
}

/// Why a call failed; what the guest said itself is better than the name of a trap.
fn fault(ambient: &Ambient, error: &wasmtime::Error) -> Fault {
    let limits = &ambient.spec.limits;
    if ambient.overran {
        return Fault::Deadline {
            limit_ms: limits.deadline_ms,
        };
    }
    if ambient.limits.memory_refused() {
        return Fault::Memory {
            limit_bytes: limits.memory_bytes,
        };
    }
    let trap = error.root_cause().to_string();
    let trap = trap.lines().next().unwrap_or_default();
    // What a panic or an uncaught exception ends in says nothing more.
    let plain = error.downcast_ref() == Some(&Trap::UnreachableCodeReached);
    let text = match ambient.lament() {
        Some(said) if plain => said.to_owned(),
        Some(said) => format!("{said} ({trap})"),
        None => trap.to_owned(),
    };
    Fault::Trap(text.chars().take(TRAP_CHARS_MAX).collect())
}

fn no_instance(store: &Store<Ambient>, error: &wasmtime::Error) -> Broken {
    if error.is::<PoolConcurrencyLimitError>() {
        return Broken::Unavailable(error.to_string());
    }
    Broken::Init(fault(store.data(), error).to_string())
}

fn mistyped(error: &wasmtime::Error) -> Broken {
    Broken::Init(format!(
        "an export is not as its world declares it: {}",
        error.root_cause()
    ))
}
