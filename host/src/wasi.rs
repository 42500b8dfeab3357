//! What answers the imports of WASI 0.2 that a language's runtime brings along: nothing
//! of the machine, but enough that a runtime starts and that what a guest prints reaches
//! its log. What is not answered traps with its name.
//!
//! Owns nothing; the state of a call is in [`Ambient`]. Knows interfaces by name, so that
//! one answer serves every 0.2.x.

use wasmtime::component::types::{ComponentInstance, ComponentItem};
use wasmtime::component::{ComponentType, LinkerInstance, Lower, Resource, ResourceType};
use wasmtime::{Result, StoreContextMut};

use super::ambient::{Ambient, Stream};

/// What one call may write to a stream, bytes: the guest asks, and writes at most this.
const WRITE_BYTES_MAX: u64 = 64 << 10;
/// Most random bytes of one call.
const RANDOM_BYTES_MAX: u64 = 64 << 10;
/// What the representation of a handle means: standard input is neither of these.
const OUT: u32 = 1;
const ERR: u32 = 2;

/// A handle to something that is not there: a stream, a folder, a terminal.
enum Handle {}

type Cx<'a> = StoreContextMut<'a, Ambient>;

/// `wasi:io/streams.stream-error`.
#[derive(ComponentType, Lower)]
#[component(variant)]
enum StreamError {
    #[component(name = "last-operation-failed")]
    #[expect(dead_code, reason = "part of the type; nothing here can fail")]
    LastOperationFailed(Resource<Handle>),
    #[component(name = "closed")]
    Closed,
}

/// `wasi:clocks/wall-clock.datetime`.
#[derive(ComponentType, Lower)]
#[component(record)]
struct Datetime {
    seconds: u64,
    nanoseconds: u32,
}

/// The interface of a WASI import, without its version, if it is one of WASI 0.2:
/// `cli/stdout` of `wasi:cli/stdout@0.2.9`.
pub fn interface(import: &str) -> Option<&str> {
    let (name, version) = import.strip_prefix("wasi:")?.split_once('@')?;
    version.starts_with("0.2.").then_some(name)
}

/// Links one imported interface whole.
///
/// # Errors
/// Wasmtime's; none for a component that it has accepted.
pub fn link(
    linker: &mut LinkerInstance<'_, Ambient>,
    interface: &str,
    import: &str,
    instance: &ComponentInstance,
    engine: &wasmtime::Engine,
) -> Result<()> {
    for (name, item) in instance.exports(engine) {
        match item.ty {
            ComponentItem::Resource(_) => {
                linker.resource(name, ResourceType::host::<Handle>(), |_, _| Ok(()))?;
            }
            ComponentItem::ComponentFunc(_) if !answer(linker, interface, name)? => {
                refuse(linker, import, name)?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn refuse(linker: &mut LinkerInstance<'_, Ambient>, import: &str, name: &str) -> Result<()> {
    let text = format!("the function called {name} of {import}, which is not offered here");
    linker.func_new(name, move |_, _, _, _| {
        Err(wasmtime::Error::msg(text.clone()))
    })
}

/// Links a function to what answers it, if anything does.
fn answer(linker: &mut LinkerInstance<'_, Ambient>, interface: &str, name: &str) -> Result<bool> {
    match interface.split_once('/') {
        Some(("cli", interface)) => cli(linker, interface, name),
        Some(("io", "streams")) => match name.split_once("output-stream.") {
            Some(("[method]", method)) => output(linker, name, method),
            _ => input(linker, name),
        },
        Some(("io", "poll")) => poll(linker, name),
        Some(("filesystem", "preopens")) if name == "get-directories" => {
            linker.func_wrap(name, |_: Cx<'_>, (): ()| {
                Ok((Vec::<(Resource<Handle>, String)>::new(),))
            })?;
            Ok(true)
        }
        Some(("clocks", interface)) => clocks(linker, interface, name),
        Some(("random", _)) => random(linker, name),
        _ => Ok(false),
    }
}

fn cli(linker: &mut LinkerInstance<'_, Ambient>, interface: &str, name: &str) -> Result<bool> {
    let handle = match interface {
        "stdout" => OUT,
        "stderr" => ERR,
        _ => 0,
    };
    match name {
        "get-environment" => linker.func_wrap(name, |_: Cx<'_>, (): ()| {
            Ok((Vec::<(String, String)>::new(),))
        })?,
        "get-arguments" => {
            linker.func_wrap(name, |_: Cx<'_>, (): ()| Ok((Vec::<String>::new(),)))?;
        }
        "initial-cwd" => linker.func_wrap(name, |_: Cx<'_>, (): ()| Ok((None::<String>,)))?,
        "get-stdin" | "get-stdout" | "get-stderr" => {
            linker.func_wrap(name, move |_: Cx<'_>, (): ()| {
                Ok((Resource::<Handle>::new_own(handle),))
            })?;
        }
        "get-terminal-stdin" | "get-terminal-stdout" | "get-terminal-stderr" => {
            linker.func_wrap(name, |_: Cx<'_>, (): ()| Ok((None::<Resource<Handle>>,)))?
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn output(linker: &mut LinkerInstance<'_, Ambient>, name: &str, method: &str) -> Result<bool> {
    type One = (Resource<Handle>,);
    match method {
        "check-write" => linker.func_wrap(name, |_: Cx<'_>, (_,): One| {
            Ok((Ok::<u64, StreamError>(WRITE_BYTES_MAX),))
        })?,
        "write" | "blocking-write-and-flush" => linker.func_wrap(
            name,
            |mut store: Cx<'_>, (stream, bytes): (Resource<Handle>, Vec<u8>)| {
                let stream = if stream.rep() == ERR {
                    Stream::Err
                } else {
                    Stream::Out
                };
                store.data_mut().print(stream, &bytes);
                Ok((Ok::<(), StreamError>(()),))
            },
        )?,
        "flush" | "blocking-flush" => linker.func_wrap(name, |_: Cx<'_>, (_,): One| {
            Ok((Ok::<(), StreamError>(()),))
        })?,
        // What was written is gone already: whoever flushes asks to wait for that.
        "subscribe" => linker.func_wrap(name, |_: Cx<'_>, (_,): One| {
            Ok((Resource::<Handle>::new_own(0),))
        })?,
        _ => return Ok(false),
    }
    Ok(true)
}

/// There is nothing to wait for but what is there: streams that have taken everything.
fn poll(linker: &mut LinkerInstance<'_, Ambient>, name: &str) -> Result<bool> {
    type One = (Resource<Handle>,);
    match name {
        "[method]pollable.block" => linker.func_wrap(name, |_: Cx<'_>, (_,): One| Ok(()))?,
        "[method]pollable.ready" => linker.func_wrap(name, |_: Cx<'_>, (_,): One| Ok((true,)))?,
        _ => return Ok(false),
    }
    Ok(true)
}

fn input(linker: &mut LinkerInstance<'_, Ambient>, name: &str) -> Result<bool> {
    if !matches!(
        name,
        "[method]input-stream.read" | "[method]input-stream.blocking-read"
    ) {
        return Ok(false);
    }
    linker.func_wrap(name, |_: Cx<'_>, (_, _): (Resource<Handle>, u64)| {
        Ok((Err::<Vec<u8>, StreamError>(StreamError::Closed),))
    })?;
    Ok(true)
}

fn clocks(linker: &mut LinkerInstance<'_, Ambient>, interface: &str, name: &str) -> Result<bool> {
    match (interface, name) {
        ("wall-clock", "now") => linker.func_wrap(name, |store: Cx<'_>, (): ()| {
            Ok((datetime(store.data().event_time_us()),))
        })?,
        ("wall-clock", "resolution") => {
            linker.func_wrap(name, |_: Cx<'_>, (): ()| Ok((datetime(1),)))?;
        }
        ("monotonic-clock", "now") => linker.func_wrap(name, |store: Cx<'_>, (): ()| {
            Ok((store.data().event_time_us().saturating_mul(1_000),))
        })?,
        ("monotonic-clock", "resolution") => {
            linker.func_wrap(name, |_: Cx<'_>, (): ()| Ok((1_000_u64,)))?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn datetime(time_us: u64) -> Datetime {
    Datetime {
        seconds: time_us / 1_000_000,
        nanoseconds: u32::try_from(time_us % 1_000_000 * 1_000).expect("below a billion"),
    }
}

fn random(linker: &mut LinkerInstance<'_, Ambient>, name: &str) -> Result<bool> {
    match name {
        "get-random-bytes" | "get-insecure-random-bytes" => {
            linker.func_wrap(name, |mut store: Cx<'_>, (count,): (u64,)| {
                if count > RANDOM_BYTES_MAX {
                    let text = format!("the function asked for {count} random bytes at once");
                    return Err(wasmtime::Error::msg(text));
                }
                let numbers = (0..count.div_ceil(8)).map(|_| store.data_mut().draw());
                let mut bytes: Vec<u8> = numbers.flat_map(u64::to_le_bytes).collect();
                bytes.truncate(usize::try_from(count).expect("checked above"));
                Ok((bytes,))
            })?;
        }
        "get-random-u64" | "get-insecure-random-u64" => {
            linker.func_wrap(name, |mut store: Cx<'_>, (): ()| {
                Ok((store.data_mut().draw(),))
            })?;
        }
        "insecure-seed" | "get-insecure-seed" => {
            linker.func_wrap(name, |mut store: Cx<'_>, (): ()| {
                let ambient = store.data_mut();
                Ok(((ambient.draw(), ambient.draw()),))
            })?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}
