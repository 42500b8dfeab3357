//! A compiled module, and the cache of them: by digest, compiled once however many
//! lanes ask for it at the same time.
//!
//! Owns the cache. Must not know where modules come from.

use std::sync::Arc;

use moka::sync::Cache;
use protocol::checkpoint::Digest;
use protocol::spec::FunctionSpec;
use protocol::stream::MODULE_BYTES_MAX;
use wasmtime::Engine;
use wasmtime::component::{Component, ComponentExportIndex, InstancePre, Linker};

use super::imports::{self, Ambient};

/// Modules kept compiled: two versions of each of a hundred functions. One takes a
/// few times the size of its Wasm.
const MODULES_MAX: u64 = 200;

/// Why a module cannot be used; permanent for its digest.
#[derive(Debug, thiserror::Error)]
pub enum ModuleError {
    /// The module is too large.
    #[error("the module has {bytes} bytes, at most {max} are allowed", max = MODULE_BYTES_MAX)]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// It is no component, or asks for something that the host does not offer.
    #[error("the module is not accepted: {0:#}")]
    Refused(wasmtime::Error),
    /// It does not export what a function must.
    #[error("the module does not export {export:?} of the world eddyline:function/worker")]
    Export {
        /// What is missing.
        export: &'static str,
    },
}

/// A module, ready to be instantiated.
pub struct Module {
    pub(crate) pre: InstancePre<Ambient>,
    pub(crate) init: ComponentExportIndex,
    pub(crate) handle: ComponentExportIndex,
}

impl std::fmt::Debug for Module {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Module")
    }
}

/// A module with the spec that it runs under.
#[derive(Debug)]
pub struct Program {
    /// The spec.
    pub spec: Arc<FunctionSpec>,
    pub(crate) module: Arc<Module>,
}

impl Program {
    /// Puts a module under a spec.
    pub fn new(spec: Arc<FunctionSpec>, module: Arc<Module>) -> Arc<Self> {
        Arc::new(Self { spec, module })
    }
}

/// Compiles modules and keeps them.
pub struct Modules {
    engine: Engine,
    linker: Linker<Ambient>,
    cache: Cache<Digest, Arc<Module>>,
}

impl Modules {
    /// An empty cache.
    ///
    /// # Errors
    /// Wasmtime's, if the imports cannot be linked.
    pub fn new(engine: &Engine) -> wasmtime::Result<Self> {
        Ok(Self {
            engine: engine.clone(),
            linker: imports::linker(engine)?,
            cache: Cache::new(MODULES_MAX),
        })
    }

    /// The module, compiled now or before. Takes up to a second of processor time:
    /// call it where that is allowed. Callers with one digest share one compilation.
    ///
    /// # Errors
    /// [`ModuleError`]; failures are not kept.
    pub fn get(&self, digest: &Digest, wasm: &[u8]) -> Result<Arc<Module>, Arc<ModuleError>> {
        self.cache
            .try_get_with_by_ref(digest, || self.compile(wasm).map(Arc::new))
    }

    /// The module, if it is compiled already.
    pub fn cached(&self, digest: &Digest) -> Option<Arc<Module>> {
        self.cache.get(digest)
    }

    fn compile(&self, wasm: &[u8]) -> Result<Module, ModuleError> {
        if wasm.len() > MODULE_BYTES_MAX {
            return Err(ModuleError::TooLarge { bytes: wasm.len() });
        }
        let component = Component::new(&self.engine, wasm).map_err(ModuleError::Refused)?;
        let linker = imports::link(&self.linker, &component).map_err(ModuleError::Refused)?;
        let pre = linker
            .instantiate_pre(&component)
            .map_err(ModuleError::Refused)?;
        let export = |export| {
            component
                .get_export_index(None, export)
                .ok_or(ModuleError::Export { export })
        };
        Ok(Module {
            pre,
            init: export("init")?,
            handle: export("handle")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine;
    use crate::tests::guest;

    #[test]
    fn one_digest_is_compiled_once() {
        let modules = Modules::new(&engine::on_demand().unwrap()).unwrap();
        let digest = Digest::from_bytes([1; 32]);
        let wasm = guest("probe");
        let compiled: Vec<Arc<Module>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| modules.get(&digest, &wasm).unwrap()))
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        assert!(
            compiled
                .iter()
                .all(|module| Arc::ptr_eq(module, &compiled[0]))
        );
        assert!(modules.cached(&digest).is_some());
    }

    #[test]
    fn what_is_no_function_is_refused() {
        let modules = Modules::new(&engine::on_demand().unwrap()).unwrap();
        let refused = |text: &str| {
            modules
                .get(&Digest::from_bytes([2; 32]), text.as_bytes())
                .unwrap_err()
                .to_string()
        };
        assert!(refused("\0asm").contains("not accepted"));
        assert!(modules.cached(&Digest::from_bytes([2; 32])).is_none());
        let large = vec![0; MODULE_BYTES_MAX + 1];
        assert!(matches!(
            *modules
                .get(&Digest::from_bytes([3; 32]), &large)
                .unwrap_err(),
            ModuleError::TooLarge { .. }
        ));
    }
}
