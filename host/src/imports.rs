//! What a guest may ask for: log, config, metrics, clock, state, and what [`wasi`] answers. Any
//! other import refuses the module.
//!
//! Owns nothing but the linker it fills; the state of a call is in the instance's
//! [`Ambient`]. No import blocks.

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker, LinkerInstance, WasmStr};
use wasmtime::{Engine, StoreContextMut};

use super::abi::{Level, Problem};
use super::ambient::Ambient;
use super::wasi;

/// The version of the interfaces that the host answers.
const PACKAGE: &str = "eddyline:function/";
const VERSION: &str = "@1.0.0";

/// A linker with everything that the host answers.
///
/// # Errors
/// Wasmtime's, if a name is defined twice.
pub fn linker(engine: &Engine) -> wasmtime::Result<Linker<Ambient>> {
    let mut linker = Linker::new(engine);
    let interface = |name: &str| format!("{PACKAGE}{name}{VERSION}");
    let mut log = linker.instance(&interface("log"))?;
    log.func_wrap(
        "write",
        |mut store: StoreContextMut<'_, Ambient>, (level, message): (Level, String)| {
            store.data_mut().write(level, &message);
            Ok(())
        },
    )?;
    let mut config = linker.instance(&interface("config"))?;
    config.func_wrap(
        "get",
        |store: StoreContextMut<'_, Ambient>, (key,): (String,)| {
            Ok((store.data().spec.config.get(&key).cloned(),))
        },
    )?;
    link_metrics(&mut linker.instance(&interface("metrics"))?)?;
    let mut clock = linker.instance(&interface("clock"))?;
    // No spec grants the wall clock yet: event time is all the time there is.
    clock.func_wrap("wall-us", |_: StoreContextMut<'_, Ambient>, (): ()| {
        Ok((None::<u64>,))
    })?;
    link_state(&mut linker.instance(&interface("state"))?)?;
    Ok(linker)
}

/// Whether a component asks for what is remembered of channels.
pub fn remembers(component: &Component) -> bool {
    let state = format!("{PACKAGE}state{VERSION}");
    let ty = component.component_type();
    let mut imports = ty.imports(component.engine());
    imports.any(|(name, _)| name == state)
}

/// The event that a guest names by its index in the call.
fn source(store: &StoreContextMut<'_, Ambient>, index: u32) -> wasmtime::Result<u64> {
    let sources = &store.data().sources;
    let found = usize::try_from(index).ok().and_then(|at| sources.get(at));
    let none = || wasmtime::Error::msg(format!("state: the call has no event {index}"));
    found.copied().ok_or_else(none)
}

fn link_state(state: &mut LinkerInstance<'_, Ambient>) -> wasmtime::Result<()> {
    state.func_wrap(
        "get",
        |store: StoreContextMut<'_, Ambient>, (index, key): (u32, String)| {
            let seq = source(&store, index)?;
            let entry = store.data().memories.get(seq, &key);
            Ok((entry.map(|entry| entry.value.to_vec()),))
        },
    )?;
    state.func_wrap(
        "put",
        |mut store: StoreContextMut<'_, Ambient>,
         (index, key, value, ttl_ms): (u32, String, Vec<u8>, u64)| {
            let seq = source(&store, index)?;
            let put = store.data_mut().memories.put(seq, key, value, ttl_ms);
            Ok((put.map_err(Problem::from),))
        },
    )?;
    state.func_wrap(
        "delete",
        |mut store: StoreContextMut<'_, Ambient>, (index, key): (u32, String)| {
            let seq = source(&store, index)?;
            store.data_mut().memories.delete(seq, key);
            Ok(())
        },
    )?;
    state.func_wrap(
        "undo",
        |mut store: StoreContextMut<'_, Ambient>, (index,): (u32,)| {
            let seq = source(&store, index)?;
            let undone = store.data_mut().memories.undo(seq);
            undone.map_err(|error| wasmtime::Error::msg(error.to_string()))
        },
    )
}

fn link_metrics(metrics: &mut LinkerInstance<'_, Ambient>) -> wasmtime::Result<()> {
    metrics.func_wrap(
        "count",
        |store: StoreContextMut<'_, Ambient>, (name, delta): (WasmStr, u64)| {
            let name = name.to_str(&store)?;
            store.data().meters().count(&name, delta);
            Ok(())
        },
    )?;
    metrics.func_wrap(
        "gauge",
        |store: StoreContextMut<'_, Ambient>, (name, value): (WasmStr, f64)| {
            let name = name.to_str(&store)?;
            store.data().meters().gauge(&name, value);
            Ok(())
        },
    )?;
    metrics.func_wrap(
        "observe",
        |store: StoreContextMut<'_, Ambient>, (name, value): (WasmStr, f64)| {
            let name = name.to_str(&store)?;
            store.data().meters().observe(&name, value);
            Ok(())
        },
    )
}

/// The linker of one component: what it imports of WASI is added.
///
/// # Errors
/// An import that is neither the host's nor of WASI 0.2, by name.
pub fn link(base: &Linker<Ambient>, component: &Component) -> wasmtime::Result<Linker<Ambient>> {
    let engine = component.engine();
    let mut linker = base.clone();
    for (name, import) in component.component_type().imports(engine) {
        if name.starts_with(PACKAGE) && name.ends_with(VERSION) {
            continue;
        }
        match (wasi::interface(name), import.ty) {
            (Some(interface), ComponentItem::ComponentInstance(instance)) => {
                let mut linker = linker.instance(name)?;
                wasi::link(&mut linker, interface, name, &instance, engine)?;
            }
            _ => {
                return Err(wasmtime::Error::msg(format!(
                    "it imports {name:?}, which the host does not offer"
                )));
            }
        }
    }
    Ok(linker)
}
