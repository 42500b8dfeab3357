//! The Wasm host: compiles modules, runs guests on threads of their own, and turns
//! what they answer into checked, typed outcomes.
//!
//! - [`module`]: compiles and keeps modules; [`kept`]: compiled code on disk; [`engine`]:
//!   how Wasmtime is set up
//! - [`event`], [`pack`], [`abi`], [`single`]: a stored event, taken apart and handed over
//! - [`pool`], [`turns`], [`instance`], [`limits`], [`culprit`]: guests at work
//! - [`imports`], [`wasi`], [`ambient`], [`account`], [`meters`], [`log`]: what a guest may ask for
//! - [`reply`], [`emission`], [`fault`]: what comes back, checked
//! - [`check()`]: whether a module would run, before it is deployed
//!
//! Owns engine, compiled modules, threads and instances. Must not know streams,
//! leases or checkpoints.

pub mod abi;
pub mod account;
pub mod ambient;
mod check;
pub mod cpu;
pub mod culprit;
pub mod emission;
pub mod engine;
pub mod event;
pub mod fault;
pub mod imports;
pub mod instance;
pub mod kept;
pub mod limits;
pub mod log;
pub mod memory;
pub mod meters;
pub mod module;
pub mod pack;
pub mod pipeline;
pub mod pool;
pub mod remembered;
pub mod reply;
pub mod single;
pub mod turns;
pub mod wasi;

pub use check::{CheckError, Checked, check};

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use protocol::checkpoint::Digest;
use protocol::spec::FunctionSpec;

use self::account::Accounts;
use self::kept::{Kept, KeptError};
use self::log::{Sink, ToTracing};
use self::module::{Module, ModuleError, Modules, Program};
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
    /// Compiled code cannot be kept where it should be.
    #[error(transparent)]
    Kept(#[from] KeptError),
    /// No thread can be started.
    #[error("a guest thread does not start")]
    Thread(#[source] std::io::Error),
}

/// How a host is set up.
#[derive(Debug, Clone, Default)]
pub struct HostConfig {
    /// Threads that run guests; 0 is one per core.
    pub threads: usize,
    /// Most bytes of the data of one emission.
    pub event_bytes_max: usize,
    /// Where compiled code is kept from one process to the next; nowhere if absent.
    /// Whoever can write there can run code in this process.
    pub compiled: Option<PathBuf>,
}

impl Host {
    /// Starts the engine and its threads, 0 for one per core. What guests log goes to the
    /// log of the process. A folder for compiled code that cannot be used is told there,
    /// and done without.
    ///
    /// # Errors
    /// [`HostError`] when the machine refuses memory or threads.
    pub fn start(
        threads: usize,
        event_bytes_max: usize,
        compiled: Option<&Path>,
    ) -> Result<Self, HostError> {
        let kept = kept::or_without(compiled);
        Self::with(threads, event_bytes_max, kept, Arc::new(ToTracing))
    }

    /// Starts the engine and its threads; what guests log goes to the sink.
    ///
    /// # Errors
    /// [`HostError`] when the machine refuses memory or threads, or the folder for
    /// compiled code cannot be used.
    pub fn configured(config: &HostConfig, sink: Arc<dyn Sink>) -> Result<Self, HostError> {
        let kept = config.compiled.as_deref().map(Kept::open).transpose()?;
        Self::with(config.threads, config.event_bytes_max, kept, sink)
    }

    fn with(
        threads: usize,
        event_bytes_max: usize,
        kept: Option<Kept>,
        sink: Arc<dyn Sink>,
    ) -> Result<Self, HostError> {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let threads = if threads == 0 { cores } else { threads };
        let modules = engine::pooled(kept.as_ref().map(Kept::cache))
            .and_then(|engine| Modules::keeping(&engine, kept))
            .map_err(HostError::Engine)?;
        let accounts = Arc::new(Accounts::new(sink));
        let pool =
            GuestPool::start(threads, event_bytes_max, &accounts).map_err(HostError::Thread)?;
        Ok(Self { modules, pool })
    }

    /// The spec's module, if it is compiled already.
    pub fn cached(&self, digest: &Digest) -> Option<Arc<Module>> {
        self.modules.cached(digest)
    }

    /// Compiles a module, or finds it compiled. Takes up to a second of processor
    /// time, for an interpreter up to 25: not for Tokio's threads.
    ///
    /// # Errors
    /// [`ModuleError`], permanent for the digest.
    pub fn compile(&self, digest: &Digest, wasm: &[u8]) -> Result<Arc<Module>, Arc<ModuleError>> {
        self.modules.get(digest, wasm)
    }

    /// A function with its modules, compiled; see [`Modules::program`].
    ///
    /// # Errors
    /// [`ModuleError`] of the first that cannot be used.
    pub fn program(
        &self,
        spec: Arc<FunctionSpec>,
        wasm: &[Bytes],
    ) -> Result<Arc<Program>, Arc<ModuleError>> {
        self.modules.program(spec, wasm)
    }

    /// A place for a lane on one of the threads.
    pub fn attach(&self, lane: u16) -> Guest {
        self.pool.attach(lane)
    }
}

#[cfg(test)]
mod tests;
