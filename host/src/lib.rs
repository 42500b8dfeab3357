//! The Wasm host: compiles modules, runs guests on threads of their own, and turns
//! what they answer into checked, typed outcomes.
//!
//! - [`module`]: compiles and keeps modules; [`engine`]: how Wasmtime is set up
//! - [`event`], [`pack`], [`abi`]: a stored event, taken apart and handed over
//! - [`pool`], [`instance`], [`imports`], [`limits`], [`bisect`]: guests at work
//! - [`reply`], [`fault`]: what comes back, checked
//! - [`check()`]: whether a module would run, before it is deployed
//!
//! Owns engine, compiled modules, threads and instances. Must not know streams,
//! leases or checkpoints.

pub mod abi;
pub mod bisect;
mod check;
pub mod cpu;
pub mod engine;
pub mod event;
pub mod fault;
pub mod imports;
pub mod instance;
pub mod limits;
pub mod module;
pub mod pack;
pub mod pool;
pub mod reply;

pub use check::{CheckError, check};

use std::sync::Arc;

use protocol::checkpoint::Digest;

use self::module::{Module, ModuleError, Modules};
use self::pool::{Guest, GuestPool};

/// One worker's host.
pub struct Host {
    modules: Modules,
    pool: GuestPool,
}

/// Why the host does not start.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// Wasmtime refuses its configuration or cannot reserve the pool.
    #[error("the wasm engine does not start: {0:#}")]
    Engine(wasmtime::Error),
    /// No thread can be started.
    #[error("a guest thread does not start")]
    Thread(#[source] std::io::Error),
}

impl Host {
    /// Starts the engine and its threads; 0 threads is one per core.
    /// `event_bytes_max` bounds the data of one emission.
    ///
    /// # Errors
    /// [`HostError`] when the machine refuses memory or threads.
    pub fn start(threads: usize, event_bytes_max: usize) -> Result<Self, HostError> {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let threads = if threads == 0 { cores } else { threads };
        let modules = engine::pooled()
            .and_then(|engine| Modules::new(&engine))
            .map_err(HostError::Engine)?;
        let pool = GuestPool::start(threads, event_bytes_max).map_err(HostError::Thread)?;
        Ok(Self { modules, pool })
    }

    /// The spec's module, if it is compiled already.
    pub fn cached(&self, digest: &Digest) -> Option<Arc<Module>> {
        self.modules.cached(digest)
    }

    /// Compiles a module, or finds it compiled. Takes up to a second of processor
    /// time: not for Tokio's threads.
    ///
    /// # Errors
    /// [`ModuleError`], permanent for the digest.
    pub fn compile(&self, digest: &Digest, wasm: &[u8]) -> Result<Arc<Module>, Arc<ModuleError>> {
        self.modules.get(digest, wasm)
    }

    /// A place for a lane on one of the threads.
    pub fn attach(&self, lane: u16) -> Guest {
        self.pool.attach(lane)
    }
}

#[cfg(test)]
mod tests;
