//! A compiled module, and the cache of them: by digest, compiled once however many
//! lanes ask for it at the same time.
//!
//! Owns the cache. Must not know where modules come from.

use std::sync::Arc;

use bytes::Bytes;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use protocol::checkpoint::Digest;
use protocol::name::FunctionName;
use protocol::spec::FunctionSpec;
use protocol::stream::MODULE_BYTES_MAX;
use wasmtime::Engine;
use wasmtime::component::{Component, ComponentExportIndex, InstancePre, Linker};

use super::ambient::Ambient;
use super::fault::Broken;
use super::imports;
use super::kept::Kept;

/// Compiled code kept, bytes: a hundred functions of compiled languages, or some ten of
/// interpreted ones (measured: 0.1 to 1 MB and 4 to 37 MB). The least recently used goes
/// first; what a lane runs stays with the lane, whether it is kept here or not.
const COMPILED_BYTES_MAX: u64 = 512 << 20;

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
    #[error("the module does not export {export:?} of the world eddyline:function/{world}")]
    Export {
        /// What is missing.
        export: &'static str,
        /// The world that it seems to be of.
        world: &'static str,
    },
    /// It exports neither world.
    #[error(
        "the module exports neither \"init\" of the world eddyline:function/worker nor \"setup\" of eddyline:function/simple"
    )]
    World,
}

/// A module, ready to be instantiated.
pub struct Module {
    pub(crate) pre: InstancePre<Ambient>,
    pub(crate) exports: Exports,
    /// Whether it asks for what is remembered of channels.
    pub(crate) remembers: bool,
    /// Of its compiled code.
    bytes: usize,
}

/// What is called of a module.
pub(crate) struct Exports {
    pub(crate) world: World,
    /// `init`, or `setup`.
    pub(crate) start: ComponentExportIndex,
    pub(crate) handle: ComponentExportIndex,
}

/// Which world a module is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum World {
    /// Packed batches.
    Worker,
    /// One event at a time.
    Simple,
}

impl Module {
    /// Which world it is of.
    pub fn world(&self) -> World {
        self.exports.world
    }
}

impl std::fmt::Debug for Module {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Module")
    }
}

/// A function that can be run: its spec, and the modules of its stages.
#[derive(Debug)]
pub struct Program {
    /// The spec.
    pub spec: Arc<FunctionSpec>,
    pub(crate) stages: Vec<Stage>,
}

/// A module with the spec that it runs under, which is the function's but for module and
/// settings.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) spec: Arc<FunctionSpec>,
    pub(crate) module: Arc<Module>,
    /// Behind the first stage, its name.
    pub(crate) name: Option<FunctionName>,
}

impl Stage {
    /// What is told of a stage that cannot be called: which one it is.
    pub(crate) fn broken(&self, error: Broken) -> Broken {
        match (&self.name, error) {
            (Some(name), Broken::Init(reason)) => Broken::Init(format!("{name}: {reason}")),
            (_, error) => error,
        }
    }
}

impl Program {
    /// Size of its compiled code, bytes.
    pub fn module_bytes(&self) -> usize {
        self.stages.iter().map(|stage| stage.module.bytes).sum()
    }

    /// Whether the function remembers anything of its channels: whoever runs it hands
    /// over what is remembered.
    pub fn remembers(&self) -> bool {
        self.stages.iter().any(|stage| stage.module.remembers)
    }

    /// Which world its first stage is of.
    pub fn world(&self) -> World {
        self.stages[0].module.world()
    }

    /// Puts modules under a spec: one for each of [`FunctionSpec::digests`], in that
    /// order.
    pub fn new(spec: Arc<FunctionSpec>, modules: Vec<Arc<Module>>) -> Arc<Self> {
        debug_assert_eq!(modules.len(), spec.digests().count());
        let mut modules = modules.into_iter();
        let first = modules.next().map(|module| Stage {
            spec: spec.clone(),
            module,
            name: None,
        });
        let further = spec.then.iter().zip(modules).map(|(stage, module)| Stage {
            spec: Arc::new(FunctionSpec {
                digest: stage.digest.clone(),
                config: stage.config.clone(),
                then: Vec::new(),
                ..FunctionSpec::clone(&spec)
            }),
            module,
            name: Some(stage.name.clone()),
        });
        let stages = first.into_iter().chain(further).collect();
        Arc::new(Self { spec, stages })
    }
}

/// Compiles modules and keeps them.
pub struct Modules {
    engine: Engine,
    linker: Linker<Ambient>,
    kept: Option<Kept>,
    cache: Cache<Digest, Arc<Module>>,
}

impl Modules {
    /// An empty cache; nothing outlives it.
    ///
    /// # Errors
    /// Wasmtime's, if the imports cannot be linked.
    pub fn new(engine: &Engine) -> wasmtime::Result<Self> {
        Self::keeping(engine, None)
    }

    /// An empty cache over the folder of compiled code that the engine was made with.
    ///
    /// # Errors
    /// Wasmtime's, if the imports cannot be linked.
    pub fn keeping(engine: &Engine, kept: Option<Kept>) -> wasmtime::Result<Self> {
        Ok(Self {
            engine: engine.clone(),
            linker: imports::linker(engine)?,
            kept,
            cache: Cache::builder()
                .max_capacity(COMPILED_BYTES_MAX)
                .weigher(|_, module: &Arc<Module>| weight(module.bytes))
                .eviction_policy(EvictionPolicy::lru())
                .build(),
        })
    }

    /// The module, compiled now or before. Takes up to a second of processor time, for an
    /// interpreter up to 25, and waits where another process compiles the same: call it
    /// where that is allowed. Callers with one digest share one compilation.
    ///
    /// # Errors
    /// [`ModuleError`]; failures are not kept.
    pub fn get(&self, digest: &Digest, wasm: &[u8]) -> Result<Arc<Module>, Arc<ModuleError>> {
        self.cache
            .try_get_with_by_ref(digest, || self.compile(digest, wasm).map(Arc::new))
    }

    /// A function with its modules, one for each of [`FunctionSpec::digests`], in that
    /// order. Takes as long as [`Modules::get`] for each.
    ///
    /// # Errors
    /// [`ModuleError`] of the first that cannot be used.
    pub fn program(
        &self,
        spec: Arc<FunctionSpec>,
        wasm: &[Bytes],
    ) -> Result<Arc<Program>, Arc<ModuleError>> {
        let pairs = spec.digests().zip(wasm);
        let modules = pairs.map(|(digest, wasm)| self.get(digest, wasm));
        let modules = modules.collect::<Result<_, _>>()?;
        Ok(Program::new(spec, modules))
    }

    /// The module, if it is compiled already.
    pub fn cached(&self, digest: &Digest) -> Option<Arc<Module>> {
        self.cache.get(digest)
    }

    fn compile(&self, digest: &Digest, wasm: &[u8]) -> Result<Module, ModuleError> {
        if wasm.len() > MODULE_BYTES_MAX {
            return Err(ModuleError::TooLarge { bytes: wasm.len() });
        }
        let compile = || Component::new(&self.engine, wasm);
        let component = match &self.kept {
            Some(kept) => kept.compile(digest, compile),
            None => compile(),
        };
        let component = component.map_err(ModuleError::Refused)?;
        let linker = imports::link(&self.linker, &component).map_err(ModuleError::Refused)?;
        let pre = linker
            .instantiate_pre(&component)
            .map_err(ModuleError::Refused)?;
        let image = component.image_range();
        Ok(Module {
            remembers: imports::remembers(&component),
            pre,
            exports: exports(&component)?,
            bytes: image.end.addr() - image.start.addr(),
        })
    }
}

fn weight(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// The exports of the world that a component is of. Some runtimes export an `init` of
/// their own, so `setup` decides.
fn exports(component: &Component) -> Result<Exports, ModuleError> {
    let find = |export| component.get_export_index(None, export);
    let (world, name, start) = match (find("setup"), find("init")) {
        (Some(setup), _) => (World::Simple, "simple", setup),
        (None, Some(init)) => (World::Worker, "worker", init),
        (None, None) => return Err(ModuleError::World),
    };
    let handle = find("handle").ok_or(ModuleError::Export {
        export: "handle",
        world: name,
    })?;
    Ok(Exports {
        world,
        start,
        handle,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine;
    use crate::tests::guest;

    #[test]
    fn one_digest_is_compiled_once() {
        let modules = Modules::new(&engine::on_demand(None).unwrap()).unwrap();
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
        let modules = Modules::new(&engine::on_demand(None).unwrap()).unwrap();
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

    /// A component in the binary format (its version 0x0d) that imports one interface
    /// without functions.
    fn importing(interface: &str) -> Vec<u8> {
        let import = [
            &[1, 0, u8::try_from(interface.len()).unwrap()],
            interface.as_bytes(),
            // An instance, of type 0.
            &[5, 0],
        ]
        .concat();
        [
            &b"\0asm\x0d\0\x01\0"[..],
            // One type: an instance with nothing in it.
            &[7, 3, 1, 0x42, 0],
            &[10, u8::try_from(import.len()).unwrap()],
            &import,
        ]
        .concat()
    }

    #[test]
    fn an_import_that_nobody_answers_is_refused_by_name() {
        let modules = Modules::new(&engine::on_demand(None).unwrap()).unwrap();
        let refused = |interface: &str| {
            let wasm = importing(interface);
            let refused = modules.get(&Digest::from_bytes([4; 32]), &wasm);
            refused.unwrap_err().to_string()
        };
        for interface in ["acme:other/thing@1.0.0", "wasi:cli/stdout@0.3.0"] {
            let said = refused(interface);
            assert!(said.contains(&format!("imports {interface:?}")), "{said}");
        }
        // What is answered is not what is wrong with these.
        for interface in ["wasi:cli/stdout@0.2.99", "eddyline:function/log@1.0.0"] {
            let said = refused(interface);
            assert!(said.contains("exports neither"), "{said}");
        }
    }
}
