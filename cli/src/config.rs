//! Where a running stack is: the file that `eddyline dev` leaves in the cache
//! folder, overridden by options and variables. Owns that file.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{CliError, EXIT_SETTINGS, EXIT_UNAVAILABLE};

/// Name of the file in the cache folder.
const STATE_FILE: &str = "dev.json";

/// A running `eddyline dev`. It holds the token secret: the file is its owner's
/// alone, and what is printed for others is [`crate::command::dev::Ready`].
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DevState {
    /// The process, which removes the file when it ends.
    pub pid: u32,
    /// WebSocket addresses.
    pub edges: Vec<String>,
    /// Address of the bridge's gRPC.
    pub grpc: String,
    /// A token that may do everything in the tenant `demo`.
    pub token: String,
    /// The secret that signs tokens.
    pub token_secret: String,
}

impl DevState {
    /// Leaves the state for other commands.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, cache: &Path) -> Result<(), CliError> {
        let path = cache.join(STATE_FILE);
        let failed = |error: std::io::Error| {
            let text = format!("{} cannot be written: {error}", path.display());
            CliError::new(EXIT_SETTINGS, text)
        };
        std::fs::create_dir_all(cache).map_err(failed)?;
        // Written aside and renamed, so that nobody reads half of it.
        let aside = cache.join(format!("{STATE_FILE}.{}", self.pid));
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&aside)
            .map_err(failed)?;
        let json = serde_json::to_vec_pretty(self).expect("plain texts are JSON");
        file.write_all(&json).map_err(failed)?;
        std::fs::rename(&aside, &path).map_err(failed)
    }

    /// The state of the `dev` that started last, if it has not ended in order.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read(cache: &Path) -> Result<Option<Self>, CliError> {
        let path = cache.join(STATE_FILE);
        let wrong = |error: &dyn std::error::Error| {
            let text = format!("{} cannot be read: {error}", path.display());
            CliError::new(EXIT_SETTINGS, text)
        };
        match std::fs::read(&path) {
            Ok(json) => serde_json::from_slice(&json)
                .map(Some)
                .map_err(|error| wrong(&error)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(wrong(&error)),
        }
    }

    /// Removes the state, unless another `dev` has replaced it.
    pub fn remove(&self, cache: &Path) {
        if matches!(Self::read(cache), Ok(Some(found)) if found == *self) {
            // What cannot be removed is stale, and shows as a refused connection.
            let _ = std::fs::remove_file(cache.join(STATE_FILE));
        }
    }
}

/// The cache folder of this machine's development servers.
pub fn cache() -> PathBuf {
    devstack::Config::from_env().cache
}

/// An option, or what a running `dev` says.
///
/// # Errors
/// Neither is there.
pub fn given_or_running(
    given: Option<String>,
    option: &str,
    running: impl FnOnce(DevState) -> Option<String>,
) -> Result<String, CliError> {
    if let Some(given) = given {
        return Ok(given);
    }
    let state = DevState::read(&cache())?;
    state.and_then(running).ok_or_else(|| {
        CliError::new(EXIT_UNAVAILABLE, "no `eddyline dev` is running here")
            .hint(format!("start one, or name another stack with {option}"))
    })
}

/// The first address that a text stands for: `host:port`, with or without `http://`.
///
/// # Errors
/// It is none, or its name is unknown.
pub async fn resolve(text: &str) -> Result<SocketAddr, CliError> {
    let bare = text.strip_prefix("http://").unwrap_or(text);
    let bare = bare.trim_end_matches('/');
    let wrong = |problem: String| {
        let text = format!("{text:?} is not an address (host:port): {problem}");
        CliError::new(EXIT_SETTINGS, text)
    };
    let mut found = tokio::net::lookup_host(bare)
        .await
        .map_err(|error| wrong(error.to_string()))?;
    found.next().ok_or_else(|| wrong("nobody has it".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(pid: u32) -> DevState {
        DevState {
            pid,
            edges: vec!["ws://127.0.0.1:1/v1/ws".into()],
            grpc: "127.0.0.1:2".into(),
            token: "t".into(),
            token_secret: "s".into(),
        }
    }

    #[test]
    fn the_last_one_stays_until_it_ends() {
        let folder = tempfile::tempdir().unwrap();
        let cache = folder.path().join("cache");
        let read = || DevState::read(&cache).unwrap_or_else(|error| panic!("{}", error.message));
        assert!(read().is_none());
        let write = |state: &DevState| assert!(state.write(&cache).is_ok());
        write(&state(1));
        write(&state(2));
        state(1).remove(&cache);
        assert_eq!(read().map(|state| state.pid), Some(2));
        state(2).remove(&cache);
        assert!(read().is_none());
        std::fs::write(cache.join(STATE_FILE), "{").unwrap();
        assert!(DevState::read(&cache).is_err_and(|error| error.code == EXIT_SETTINGS));
    }

    #[tokio::test]
    async fn addresses_are_resolved_or_refused() {
        let found = resolve("http://127.0.0.1:8003/").await;
        assert!(found.is_ok_and(|address| address.port() == 8003));
        assert!(
            resolve("8003")
                .await
                .is_err_and(|error| error.code == EXIT_SETTINGS)
        );
    }
}
