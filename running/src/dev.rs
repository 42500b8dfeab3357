//! Where a running stack is: the files that each `eddyline dev` leaves in the cache
//! folder. Owns those files.
//!
//! Each `dev` has a name. While it lives it holds a lock on `dev/NAME.lock`, which the
//! system takes back however it ends, so that what a killed one left is never believed.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::RunningError;

/// Folder of the files, in the cache folder.
const FOLDER: &str = "dev";
/// Name of a `dev` that was given none; the next ones get a number behind it.
pub const NAME: &str = "dev";
/// Most `dev`s without a name on one machine: each is two servers.
const UNNAMED_MAX: usize = 100;
/// Longest name, in bytes; it is part of a file's name.
const NAME_BYTES_MAX: usize = 64;

/// A running `eddyline dev`. It holds the token secret: the file is its owner's
/// alone.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DevState {
    /// Its name, among those that run here.
    pub name: String,
    /// WebSocket addresses.
    pub edges: Vec<String>,
    /// Address of the bridge's gRPC, if there is a mirror.
    pub grpc: Option<String>,
    /// A token that may do everything in the tenant `demo`.
    pub token: String,
    /// The secret that signs tokens.
    pub token_secret: String,
    /// Address of NATS, with the user that may do everything.
    #[serde(default)]
    pub nats: Option<String>,
}

/// A name, held for as long as this lives; then its file is removed.
pub struct Claim {
    name: String,
    folder: PathBuf,
    /// Held for its lock alone. Its file stays: removing it would let two processes lock
    /// two files of one name.
    _lock: File,
}

impl Claim {
    /// Takes a name for a `dev`: the one that is wanted, or one that is free.
    ///
    /// # Errors
    /// Another `dev` has it, it is no name, or the folder cannot be written.
    pub fn take(cache: &Path, wanted: Option<&str>) -> Result<Self, RunningError> {
        let folder = cache.join(FOLDER);
        std::fs::create_dir_all(&folder).map_err(|error| unusable(&folder, &error))?;
        if let Some(name) = wanted {
            check(name)?;
            return Self::try_take(&folder, name)?.ok_or_else(|| {
                let name = name.to_owned();
                RunningError::Taken { name }
            });
        }
        for number in 1..=UNNAMED_MAX {
            let name = match number {
                1 => NAME.to_owned(),
                number => format!("{NAME}-{number}"),
            };
            if let Some(claim) = Self::try_take(&folder, &name)? {
                return Ok(claim);
            }
        }
        Err(RunningError::TooMany { max: UNNAMED_MAX })
    }

    fn try_take(folder: &Path, name: &str) -> Result<Option<Self>, RunningError> {
        let path = folder.join(format!("{name}.lock"));
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let lock = file.map_err(|error| unusable(&path, &error))?;
        if lock.try_lock().is_err() {
            return Ok(None);
        }
        Ok(Some(Self {
            name: name.to_owned(),
            folder: folder.to_path_buf(),
            _lock: lock,
        }))
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Leaves the state for other commands.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, state: &DevState) -> Result<(), RunningError> {
        let path = self.path();
        // Written aside and renamed, so that nobody reads half of it.
        let aside = self.folder.join(format!("{}.new", self.name));
        let mut options = OpenOptions::new();
        let opened = options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&aside);
        let json = serde_json::to_vec_pretty(state).expect("plain texts are JSON");
        let written = opened
            .and_then(|mut file| file.write_all(&json))
            .and_then(|()| std::fs::rename(&aside, &path));
        written.map_err(|error| unusable(&path, &error))
    }

    fn path(&self) -> PathBuf {
        self.folder.join(format!("{}.json", self.name))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // What cannot be removed is stale, and nobody holds its lock any more.
        let _ = std::fs::remove_file(self.path());
    }
}

fn check(name: &str) -> Result<(), RunningError> {
    let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.chars().all(valid) {
        return Ok(());
    }
    Err(RunningError::Name {
        name: name.to_owned(),
        max: NAME_BYTES_MAX,
    })
}

fn unusable(path: &Path, error: &dyn std::error::Error) -> RunningError {
    RunningError::File {
        path: path.to_owned(),
        problem: error.to_string(),
    }
}

/// Every `dev` that runs here and serves, by name.
///
/// # Errors
/// The state of a running one cannot be read.
pub fn all(cache: &Path) -> Result<Vec<DevState>, RunningError> {
    let folder = cache.join(FOLDER);
    // No folder: none has ever run.
    let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
    let mut found = Vec::new();
    for path in entries.map(|entry| entry.path()) {
        if path.extension().is_none_or(|extension| extension != "json") || !is_held(&path) {
            continue;
        }
        let json = std::fs::read(&path).map_err(|error| unusable(&path, &error))?;
        let state = serde_json::from_slice(&json).map_err(|error| unusable(&path, &error))?;
        found.push(state);
    }
    found.sort_by(|a: &DevState, b| a.name.cmp(&b.name));
    Ok(found)
}

/// Whether the `dev` that wrote this file lives.
fn is_held(state: &Path) -> bool {
    let lock = File::open(state.with_extension("lock"));
    lock.is_ok_and(|lock| lock.try_lock_shared().is_err())
}

/// Which running `dev` a command is about.
#[derive(Debug, Clone, Copy, Default)]
pub struct Which<'a> {
    /// The one with this name.
    pub name: Option<&'a str>,
    /// The one whose edge node or bridge this is, if it is any's.
    pub address: Option<&'a str>,
}

/// The `dev` that is meant, and whether others run beside it; `None` if none runs.
///
/// # Errors
/// The one that is named does not run; several run and none is named.
pub fn find(cache: &Path, which: Which<'_>) -> Result<Option<DevState>, RunningError> {
    let mut running = all(cache)?;
    let names: Vec<&str> = running.iter().map(|state| state.name.as_str()).collect();
    let names = names.join(", ");
    if let Some(name) = which.name {
        let found = running.into_iter().find(|state| state.name == name);
        return found.map(Some).ok_or_else(|| RunningError::NoSuch {
            name: name.to_owned(),
            running: names,
        });
    }
    if let Some(address) = which.address {
        let bare = |text: &str| {
            let (_, rest) = text.split_once("://").unwrap_or(("", text));
            rest.split('/').next().unwrap_or(rest).to_owned()
        };
        let same = |text: &str| bare(text) == bare(address);
        let is_its = |state: &DevState| {
            let bridge = state.grpc.as_deref().is_some_and(same);
            bridge || state.edges.iter().any(|edge| same(edge))
        };
        if let Some(at) = running.iter().position(is_its) {
            return Ok(Some(running.swap_remove(at)));
        }
    }
    if running.len() > 1 {
        return Err(RunningError::Several { running: names });
    }
    Ok(running.pop())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(name: &str, port: u16) -> DevState {
        DevState {
            name: name.into(),
            edges: vec![format!("ws://127.0.0.1:{port}/v1/ws")],
            grpc: Some(format!("127.0.0.1:{}", port + 1)),
            token: format!("token of {name}"),
            token_secret: "s".into(),
            nats: None,
        }
    }

    fn started(cache: &Path, wanted: Option<&str>, port: u16) -> Claim {
        let claim = Claim::take(cache, wanted).unwrap_or_else(|error| panic!("{error}"));
        let written = claim.write(&state(claim.name(), port));
        written.unwrap_or_else(|error| panic!("{error}"));
        claim
    }

    fn found(
        cache: &Path,
        name: Option<&str>,
        address: Option<&str>,
    ) -> Result<String, RunningError> {
        match find(cache, Which { name, address }) {
            Ok(state) => Ok(state.map_or_else(String::new, |state| state.name)),
            Err(error) => Err(error),
        }
    }

    #[test]
    fn two_do_not_hide_one_another() {
        let folder = tempfile::tempdir().unwrap();
        let cache = folder.path().join("cache");
        assert_eq!(found(&cache, None, None).unwrap(), "");
        let first = started(&cache, None, 8_001);
        assert_eq!(found(&cache, None, None).unwrap(), "dev");
        let second = started(&cache, None, 9_001);
        assert_eq!(second.name(), "dev-2");
        let several = found(&cache, None, None);
        assert!(matches!(several, Err(RunningError::Several { .. })));
        assert_eq!(found(&cache, Some("dev-2"), None).unwrap(), "dev-2");
        let none = found(&cache, Some("dev-3"), None);
        assert!(matches!(none, Err(RunningError::NoSuch { .. })));
        for address in [
            "127.0.0.1:9001",
            "ws://127.0.0.1:9001/v1/ws",
            "127.0.0.1:9002",
        ] {
            let by_address = found(&cache, None, Some(address));
            assert_eq!(by_address.unwrap(), "dev-2", "{address}");
        }
        drop(first);
        assert_eq!(found(&cache, None, None).unwrap(), "dev-2");
        drop(second);
        assert_eq!(found(&cache, None, None).unwrap(), "");
    }

    #[test]
    fn a_name_is_held_by_one() {
        let folder = tempfile::tempdir().unwrap();
        let _mine = started(folder.path(), Some("mine"), 1);
        for refused in ["mine", "", "a/b", "a b"] {
            let taken = Claim::take(folder.path(), Some(refused));
            assert!(taken.is_err(), "{refused}");
        }
    }

    #[test]
    fn what_a_killed_one_left_is_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        let claim = started(folder.path(), None, 1);
        let left = std::fs::read(claim.path()).unwrap();
        let path = claim.path();
        drop(claim);
        std::fs::write(path, left).unwrap();
        assert_eq!(found(folder.path(), None, None).unwrap(), "");
    }
}
