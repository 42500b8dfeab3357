//! One warm instance: a store, and the two exports of the guest.
//!
//! Owns the store. An instance whose call failed must not be used again: the
//! caller drops it.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::TypedFunc;
use wasmtime::{PoolConcurrencyLimitError, Store, UpdateDeadline};

use super::abi::{Batch, Reply};
use super::cpu;
use super::fault::{Broken, Fault};
use super::imports::Ambient;
use super::module::Program;
use super::pack::{Item, pack};
use super::reply::{self, Handled};

type Pairs = Vec<(String, String)>;

/// Ticks until a running guest is looked at again.
const LOOK_TICKS: u64 = 1;
/// Characters of a trap's message that are kept.
const TRAP_CHARS_MAX: usize = 300;

/// An instance that has been initialised.
pub struct Instance {
    store: Store<Ambient>,
    handle: TypedFunc<(Arc<Batch>,), (Reply,)>,
}

impl Instance {
    /// Makes an instance and lets it initialise itself.
    ///
    /// # Errors
    /// [`Broken`] says whether another try may help.
    pub fn new(program: &Program, lane: u16) -> Result<Self, Broken> {
        let mut store = Store::new(
            program.module.pre.engine(),
            Ambient::new(program.spec.clone(), lane),
        );
        store.limiter(|ambient| &mut ambient.limits);
        let deadline = Duration::from_millis(program.spec.limits.deadline_ms);
        store.epoch_deadline_callback(move |mut store| {
            let ambient = store.data_mut();
            if cpu::thread_time().saturating_sub(ambient.call_began) < deadline {
                return Ok(UpdateDeadline::Continue(LOOK_TICKS));
            }
            ambient.overran = true;
            Ok(UpdateDeadline::Interrupt)
        });
        begin_call(&mut store);
        let instance = program
            .module
            .pre
            .instantiate(&mut store)
            .map_err(|error| no_instance(&error))?;
        let broken = |error: wasmtime::Error| Broken::Init(trap_text(&error));
        let init = instance
            .get_typed_func::<(Pairs,), (Result<(), String>,)>(&mut store, &program.module.init)
            .map_err(broken)?;
        let handle = instance
            .get_typed_func(&mut store, &program.module.handle)
            .map_err(broken)?;
        let config: Pairs = program
            .spec
            .config
            .iter()
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        begin_call(&mut store);
        let (result,) = init.call(&mut store, (config,)).map_err(broken)?;
        result.map_err(|reason| Broken::Init(reply::cut_reason(reason.as_bytes())))?;
        Ok(Self { store, handle })
    }

    /// Hands a batch to the guest; `buffer` is taken for the time of the call.
    ///
    /// # Errors
    /// [`Fault`]; the instance must be dropped then.
    pub fn handle(
        &mut self,
        items: &[Item],
        buffer: &mut Arc<Batch>,
        event_bytes_max: usize,
    ) -> Result<Vec<Handled>, Fault> {
        pack(
            items,
            Arc::get_mut(buffer).expect("the call before has given it back"),
        );
        begin_call(&mut self.store);
        let result = self.handle.call(&mut self.store, (buffer.clone(),));
        let ambient = self.store.data();
        match result {
            Ok((reply,)) => Ok(reply::check(reply, items, &ambient.spec, event_bytes_max)?),
            Err(_) if ambient.overran => Err(Fault::Deadline {
                limit_ms: ambient.spec.limits.deadline_ms,
            }),
            Err(_) if ambient.limits.memory_refused() => Err(Fault::Memory {
                limit_bytes: ambient.spec.limits.memory_bytes,
            }),
            Err(error) => Err(Fault::Trap(trap_text(&error))),
        }
    }
}

fn begin_call(store: &mut Store<Ambient>) {
    let ambient = store.data_mut();
    ambient.call_began = cpu::thread_time();
    ambient.overran = false;
    store.set_epoch_deadline(LOOK_TICKS);
}

fn no_instance(error: &wasmtime::Error) -> Broken {
    if error.is::<PoolConcurrencyLimitError>() {
        return Broken::Unavailable(error.to_string());
    }
    Broken::Init(trap_text(error))
}

/// The cause of a trap in one line: the root, without the frames.
fn trap_text(error: &wasmtime::Error) -> String {
    let text = error.root_cause().to_string();
    text.lines()
        .next()
        .unwrap_or_default()
        .chars()
        .take(TRAP_CHARS_MAX)
        .collect()
}
