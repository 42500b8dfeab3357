//! Whether a module would run, tried before it is deployed: compiled and started as a
//! worker does it, in an engine of its own.
//!
//! Owns nothing. Must not know where modules are stored.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use protocol::spec::FunctionSpec;

use crate::account::Accounts;
use crate::engine;
use crate::fault::Broken;
use crate::instance::Instance;
use crate::kept::{self, Kept};
use crate::log::ToTracing;
use crate::module::{ModuleError, Modules};

/// Why a module would not run under its spec.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The module cannot be used.
    #[error(transparent)]
    Module(#[from] Arc<ModuleError>),
    /// The module does not start with this configuration.
    #[error(transparent)]
    Broken(#[from] Broken),
    /// The engine for the check does not start.
    #[error("the wasm engine does not start: {0:#}")]
    Engine(wasmtime::Error),
}

/// What a check has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checked {
    /// Whether the function remembers anything of its channels.
    pub remembers: bool,
}

/// Compiles a function's modules, one for each of [`FunctionSpec::digests`], and starts an
/// instance of each. Takes up to a second of processor
/// time, for an interpreter up to 25: not for Tokio's threads. `compiled` is the folder
/// where compiled code is kept; one that cannot be used is told to the log, and done
/// without.
///
/// # Errors
/// [`CheckError`]; but for `Engine`, only another module or another spec helps.
pub fn check(
    spec: FunctionSpec,
    wasm: &[Bytes],
    compiled: Option<&Path>,
) -> Result<Checked, CheckError> {
    let kept = kept::or_without(compiled);
    let modules = engine::on_demand(kept.as_ref().map(Kept::cache))
        .and_then(|engine| Modules::keeping(&engine, kept))
        .map_err(CheckError::Engine)?;
    let account = Accounts::new(Arc::new(ToTracing)).of(&spec.name);
    let program = modules.program(Arc::new(spec), wasm)?;
    for stage in &program.stages {
        Instance::of(stage, 0, account.clone()).map_err(|error| stage.broken(error))?;
    }
    Ok(Checked {
        remembers: program.remembers(),
    })
}
