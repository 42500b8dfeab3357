//! The folder of one server: its data, configuration and log. Owns the folder's
//! lock, and the folder itself when nobody named one; knows no server.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;

use crate::error::{DevstackError, Result};
use crate::process::wait_for;

/// How long to wait for the folder of a server whose parent has just been
/// killed; the kernel takes milliseconds to end the server too.
const LOCK_WAIT: Duration = Duration::from_secs(2);

/// A locked folder. A temporary one is deleted on drop.
#[derive(Debug)]
pub struct Home {
    path: PathBuf,
    lock: File,
    _temporary: Option<TempDir>,
}

impl Home {
    /// Takes the given folder, or makes a temporary one.
    pub fn open(folder: Option<&Path>) -> Result<Home> {
        let temporary = match folder {
            Some(_) => None,
            None => Some(
                tempfile::Builder::new()
                    .prefix("eddyline-server-")
                    .tempdir()
                    .map_err(DevstackError::io("create", &std::env::temp_dir()))?,
            ),
        };
        let path = match (folder, &temporary) {
            (Some(folder), _) => folder.to_path_buf(),
            (None, Some(made)) => made.path().to_path_buf(),
            (None, None) => unreachable!("a folder was given or made"),
        };
        fs::create_dir_all(&path).map_err(DevstackError::io("create", &path))?;
        // Servers get absolute paths, whatever their working folder.
        let path = path
            .canonicalize()
            .map_err(DevstackError::io("resolve", &path))?;
        let lock = lock(&path)?;
        Ok(Home {
            path,
            lock,
            _temporary: temporary,
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The server's log, written by all its runs.
    pub fn log(&self) -> PathBuf {
        self.path.join("server.log")
    }

    /// Writes a configuration file and returns its path.
    pub fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.path.join(name);
        fs::write(&path, text).map_err(DevstackError::io("write", &path))?;
        Ok(path)
    }

    /// The lock as the server's standard input, which it never reads: the lock
    /// then lasts as long as the server, even if we are killed first.
    pub fn lock_as_input(&self) -> Result<Stdio> {
        let copy = self.lock.try_clone();
        Ok(Stdio::from(copy.map_err(DevstackError::io(
            "share the lock of",
            &self.path,
        ))?))
    }
}

fn lock(folder: &Path) -> Result<File> {
    let path = folder.join("server.lock");
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .map_err(DevstackError::io("open", &path))?;
    let outcome = wait_for(LOCK_WAIT, || match file.try_lock() {
        Err(TryLockError::WouldBlock) => None,
        other => Some(other),
    });
    match outcome {
        Some(Ok(())) => Ok(file),
        Some(Err(TryLockError::Error(error))) => Err(DevstackError::io("lock", &path)(error)),
        Some(Err(TryLockError::WouldBlock)) | None => Err(DevstackError::DataInUse {
            path: folder.to_path_buf(),
        }),
    }
}
