//! The Wasmtime engine: one per worker, for synchronous guests on threads of
//! their own; and the clock that interrupts them.
//!
//! Owns the engine and the ticker thread, which ends when the engine is dropped.
//! Must not know functions.

use std::time::Duration;

use wasmtime::{
    Cache, Config, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig,
};

/// How often a running guest is looked at. A tenth of the shortest usual deadline;
/// the check itself is a load and a compare at loop heads.
pub const TICK: Duration = Duration::from_millis(5);
/// Most linear memory of an instance, bytes; a function's own limit is at most this.
pub const MEMORY_BYTES_MAX: usize = 64 << 20;
/// Most instances at a time. Address space is reserved for each (4 GiB, so that
/// bounds checks vanish), memory is not.
pub const INSTANCES_MAX: u32 = 512;
/// Core modules in one component: the guest's own, and the adapters that its
/// toolchain adds. Measured: Python has 38, the others up to 10.
const CORE_INSTANCES_PER_COMPONENT: u32 = 48;
/// Linear memories in one component: the guest's own, and those of adapters. However
/// many there are, `Limits` holds their sum to the function's limit, so that all guests
/// together hold at most `INSTANCES_MAX` times `MEMORY_BYTES_MAX`.
const MEMORIES_PER_COMPONENT: u32 = 3;
/// Tables in one component.
const TABLES_PER_COMPONENT: u32 = 16;
/// Most elements of a table.
pub const TABLE_ELEMENTS_MAX: usize = 20_000;
/// Most stack of a guest, bytes: well inside that of its thread.
const STACK_BYTES_MAX: usize = 1 << 20;
/// Slots given back to the system at a time: one call instead of one each.
const DECOMMIT_BATCH: usize = 16;

/// Makes the engine that runs guests, and starts its clock. What was compiled before is
/// loaded where it was kept, if it is.
///
/// # Errors
/// Wasmtime's, when the address space for the pool cannot be reserved.
pub fn pooled(kept: Option<Cache>) -> wasmtime::Result<Engine> {
    pool_of(INSTANCES_MAX, kept)
}

/// The same for so many instances.
pub(crate) fn pool_of(instances: u32, kept: Option<Cache>) -> wasmtime::Result<Engine> {
    let mut pool = PoolingAllocationConfig::default();
    pool.total_component_instances(instances)
        // A count, not a reservation.
        .total_core_instances(instances * CORE_INSTANCES_PER_COMPONENT)
        // Address space alone: an interpreter may have two.
        .total_memories(instances * 2)
        .total_tables(instances * 4)
        .max_core_instances_per_component(CORE_INSTANCES_PER_COMPONENT)
        .max_memories_per_component(MEMORIES_PER_COMPONENT)
        .max_tables_per_component(TABLES_PER_COMPONENT)
        .table_elements(TABLE_ELEMENTS_MAX)
        .max_memory_size(MEMORY_BYTES_MAX)
        .decommit_batch_size(DECOMMIT_BATCH);
    let mut config = config(kept);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    start(&config)
}

/// Makes an engine that instantiates a guest now and then, to check it: the same
/// rules, without a pool, and the same compiled code.
///
/// # Errors
/// Wasmtime's, when the machine is not supported.
pub fn on_demand(kept: Option<Cache>) -> wasmtime::Result<Engine> {
    start(&config(kept))
}

fn config(kept: Option<Cache>) -> Config {
    let mut config = Config::new();
    config
        .cache(kept)
        .wasm_component_model(true)
        .concurrency_support(false)
        .epoch_interruption(true)
        .max_wasm_stack(STACK_BYTES_MAX)
        .cranelift_opt_level(OptLevel::Speed);
    config
}

fn start(config: &Config) -> wasmtime::Result<Engine> {
    let engine = Engine::new(config)?;
    let weak = engine.weak();
    std::thread::Builder::new()
        .name("guest-clock".into())
        .spawn(move || {
            while let Some(engine) = weak.upgrade() {
                engine.increment_epoch();
                drop(engine);
                std::thread::sleep(TICK);
            }
        })?;
    Ok(engine)
}
