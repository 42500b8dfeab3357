//! Compiled code in a folder, for this process and later ones, several at a time. The
//! files are Wasmtime's, which it names by module and settings; beside each lies a seal, a
//! hash of what was written, because Wasmtime would run whatever it can unpack.
//!
//! Owns the folder, and refuses one that others can write: they could run code here. Must
//! not know functions.

mod code;
mod seal;

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use protocol::checkpoint::Digest;
use wasmtime::{Cache, CacheConfig};

use self::seal::Seals;

/// Compiled code kept on disk, bytes, compressed: a hundred functions of interpreted
/// languages (measured: Python's is 9 MB). The least recently used goes first.
const BYTES_MAX: u64 = 1 << 30;
/// What Wasmtime is told instead: it looks once in the life of a process, and the bound is
/// kept here.
const BYTES_MAX_OF_WASMTIME: u64 = 1 << 40;
/// How hard files are compressed: Wasmtime's usual level. A file that is used often is not
/// compressed again, which would break its seal.
const COMPRESSION_LEVEL: i32 = 3;
/// Parts of the folder.
const CODE: &str = "code";
const LOCKS: &str = "locks";
/// Digits of a digest that name a lock: 256 files, whatever is compiled.
const LOCK_DIGITS: usize = 2;

/// Why compiled code cannot be kept in a folder.
#[derive(Debug, thiserror::Error)]
pub enum KeptError {
    /// The system refuses something.
    #[error("the folder {} for compiled code cannot be used: {source}", folder.display())]
    Io {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others may put code there.
    #[error(
        "the folder {} for compiled code is not its user's alone: whoever can write there can \
         run code here; it has to be of this user, with mode 700",
        folder.display()
    )]
    Shared {
        /// The folder.
        folder: PathBuf,
    },
    /// Wasmtime refuses the folder.
    #[error("compiled code cannot be kept: {0:#}")]
    Cache(wasmtime::Error),
}

/// A folder of compiled code.
#[derive(Debug)]
pub struct Kept {
    cache: Cache,
    code: PathBuf,
    locks: PathBuf,
    seals: Seals,
    bytes_max: u64,
}

impl Kept {
    /// Opens a folder, or makes it with mode 700.
    ///
    /// # Errors
    /// [`KeptError`]: what the folder is, not what is in it, which is looked at when it is
    /// needed.
    pub fn open(folder: &Path) -> Result<Self, KeptError> {
        Self::bounded(folder, BYTES_MAX)
    }

    fn bounded(folder: &Path, bytes_max: u64) -> Result<Self, KeptError> {
        let io = |source| KeptError::Io {
            folder: folder.to_owned(),
            source,
        };
        let folder = std::path::absolute(folder).map_err(io)?;
        make(&folder).map_err(io)?;
        if !is_ours(&folder).map_err(io)? {
            return Err(KeptError::Shared { folder });
        }
        let (code, locks) = (folder.join(CODE), folder.join(LOCKS));
        make(&locks).map_err(io)?;
        let mut config = CacheConfig::new();
        config
            .with_directory(&code)
            .with_files_total_size_soft_limit(BYTES_MAX_OF_WASMTIME)
            .with_baseline_compression_level(COMPRESSION_LEVEL)
            .with_optimized_compression_level(COMPRESSION_LEVEL);
        Ok(Self {
            cache: Cache::new(config).map_err(KeptError::Cache)?,
            seals: Seals::open(&code, &folder).map_err(io)?,
            code,
            locks,
            bytes_max,
        })
    }

    /// What an engine is told.
    pub(crate) fn cache(&self) -> Cache {
        self.cache.clone()
    }

    /// Compiles a module, or finds it compiled: what is found is sound, and what is new is
    /// sealed. What is too much then goes. Another process that compiles the same module is waited for.
    pub(crate) fn compile<T>(&self, digest: &Digest, compile: impl FnOnce() -> T) -> T {
        // The system takes it back when this ends, however it does.
        let _one = self.lock(digest);
        self.seals.check();
        let misses = self.cache.cache_misses();
        let compiled = compile();
        if self.cache.cache_misses() > misses {
            self.seals.seal();
            code::bound(&self.code, self.bytes_max);
        }
        compiled
    }

    /// Without it, two processes compile the same: slow, and nothing worse.
    fn lock(&self, digest: &Digest) -> Option<File> {
        let path = self.locks.join(&digest.as_str()[..LOCK_DIGITS]);
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let locked = file.and_then(|file| file.lock().map(|()| file));
        locked
            .inspect_err(|error| tracing::warn!(path = %path.display(), %error, "no lock"))
            .ok()
    }
}

/// The folder, if code can be kept there; says why not otherwise. For those who compile
/// once, and lose nothing but time without it.
pub fn or_without(folder: Option<&Path>) -> Option<Kept> {
    let opened = Kept::open(folder?);
    opened
        .inspect_err(|error| tracing::warn!(%error, "compiled code is not kept"))
        .ok()
}

fn make(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Whether nobody else can write there. A process's own folder in `/proc` is of the user
/// that it acts as.
fn is_ours(folder: &Path) -> io::Result<bool> {
    let (folder, process) = (std::fs::metadata(folder)?, std::fs::metadata("/proc/self")?);
    Ok(folder.uid() == process.uid() && folder.mode() & 0o077 == 0)
}

#[cfg(test)]
mod tests;
