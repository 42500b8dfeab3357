//! From a function's sources to a component that the real host has accepted, at its
//! place in the folder.
//!
//! Owns that file. Must not know how progress is shown.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use control::app::AppError;
use host::CheckError;
use protocol::checkpoint::Digest;
use protocol::spec::SpecError;
use tokio::time::Instant;

use crate::project::Project;
use crate::recipe::{self, RecipeError};

/// A component that would run.
#[derive(Debug, Clone)]
pub struct Built {
    /// Its place.
    pub path: PathBuf,
    /// Itself, and the modules of the stages that follow on it.
    pub modules: Vec<Bytes>,
    /// Its digest.
    pub digest: Digest,
    /// What building it took, the check included.
    pub took: Duration,
}

/// Why there is no component.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The sources do not become one.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// The function names neither a language nor a module.
    #[error("the function {name} names neither `lang` nor `module`")]
    Neither {
        /// Its name.
        name: String,
    },
    /// The module of a further stage is not there.
    #[error(transparent)]
    Stage(#[from] AppError),
    /// A file cannot be read or written.
    #[error("{} cannot be used", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What `eddyline.toml` says of it is not accepted.
    #[error("the function's {0}")]
    Spec(#[from] SpecError),
    /// The host would not run it.
    #[error(transparent)]
    Check(#[from] CheckError),
    /// The check was cut off.
    #[error("the build was interrupted")]
    Interrupted(#[from] tokio::task::JoinError),
}

/// Builds a function, or takes the module that it names, and checks it as a worker
/// would; `compiled` is where compiled code is kept. What tools write is told line by line. A dropped future ends the tool that
/// runs and leaves the component of the build before.
///
/// # Errors
/// [`BuildError`].
pub async fn build(
    project: &Project,
    compiled: Option<PathBuf>,
    told: &mut (dyn FnMut(&str) + Send),
) -> Result<Built, BuildError> {
    let start = Instant::now();
    let path = project.module();
    let made = match (project.entry.lang, &project.entry.module) {
        (Some(language), _) => recipe::follow(language, &project.sources(), told).await?,
        (None, Some(_)) => path.clone(),
        (None, None) => {
            let name = project.name.to_string();
            return Err(BuildError::Neither { name });
        }
    };
    let wasm = Bytes::from(std::fs::read(&made).map_err(failed(&made))?);
    let modules = project.entry.modules(&project.folder, wasm.clone())?;
    let (spec, checked) = (project.spec(&modules)?, modules.clone());
    let digest = spec.digest.clone();
    told("checking it with the host");
    let check = move || host::check(spec, &checked, compiled.as_deref());
    tokio::task::spawn_blocking(check).await??;
    if made != path {
        put(&path, &wasm)?;
    }
    Ok(Built {
        path,
        modules,
        digest,
        took: start.elapsed(),
    })
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> BuildError + '_ {
    |source| BuildError::Io {
        path: path.to_owned(),
        source,
    }
}

/// Puts the component in its place, whole or not at all.
fn put(path: &Path, wasm: &[u8]) -> Result<(), BuildError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let beside = path.with_extension("new");
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&beside, wasm))
        .and_then(|()| std::fs::rename(&beside, path))
        .map_err(failed(path))
}
