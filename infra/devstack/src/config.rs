//! Where things are on this machine: the cache folder, the programs, and the
//! servers that already run. The only file of the crate that reads the
//! environment. Callers own the value and may change any field before use.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Variable naming the cache folder; default `.cache` in the workspace that we are in or
/// that the program was built in, else the user's own.
pub const CACHE_VARIABLE: &str = "EDDYLINE_CACHE";
/// Variable naming a running NATS server, which is then used instead of our own.
pub const NATS_VARIABLE: &str = "EDDYLINE_NATS_URL";
/// Variable naming a running Kafka's bootstrap address, used instead of our own.
pub const KAFKA_VARIABLE: &str = "EDDYLINE_KAFKA_BOOTSTRAP";

/// A folder that marks the root of a workspace checkout.
const WORKSPACE_MARK: &str = "infra/devstack";

/// Settings of the development stack.
#[derive(Debug, Clone)]
pub struct Config {
    /// Folder of fetched servers; created when first needed.
    pub cache: PathBuf,
    /// Folders searched for programs, first match wins.
    pub search_path: Vec<PathBuf>,
    /// Java installation that goes before the search path.
    pub java_home: Option<PathBuf>,
    /// `nats://host:port` of a running server to use instead of starting one.
    pub nats_url: Option<String>,
    /// `host:port[,host:port]` of a running Kafka to use instead of starting one.
    pub kafka_bootstrap: Option<String>,
}

impl Config {
    /// Reads the process environment; unset variables get their defaults.
    pub fn from_env() -> Config {
        let search_path = variable("PATH")
            .map(|path| std::env::split_paths(&path).collect())
            .unwrap_or_default();
        Config {
            cache: variable(CACHE_VARIABLE)
                .map(PathBuf::from)
                .unwrap_or_else(default_cache),
            search_path,
            java_home: variable("JAVA_HOME").map(PathBuf::from),
            nats_url: variable(NATS_VARIABLE),
            kafka_bootstrap: variable(KAFKA_VARIABLE),
        }
    }

    /// The first executable file called `program` on the search path.
    pub fn find(&self, program: &str) -> Option<PathBuf> {
        self.search_path
            .iter()
            .map(|folder| folder.join(program))
            .find(|path| is_executable(path))
    }

    /// The Java launcher, whatever its version.
    pub fn find_java(&self) -> Option<PathBuf> {
        let home = self.java_home.as_ref().map(|home| home.join("bin/java"));
        home.filter(|path| is_executable(path))
            .or_else(|| self.find("java"))
    }
}

/// `.cache` in the nearest workspace around the current folder or the program, else the
/// user's (XDG Base Directory Specification): every folder outside of a workspace has
/// the same, so that commands find the servers and each other from anywhere.
fn default_cache() -> PathBuf {
    let around = |place: &Path| {
        let mut folders = place.ancestors();
        let root = folders.find(|folder| folder.join(WORKSPACE_MARK).is_dir());
        root.map(|root| root.join(".cache"))
    };
    let places = [std::env::current_dir(), std::env::current_exe()];
    let workspace = places.iter().flatten().find_map(|place| around(place));
    workspace.unwrap_or_else(|| users_cache(variable("XDG_CACHE_HOME"), variable("HOME")))
}

fn users_cache(cache: Option<String>, home: Option<String>) -> PathBuf {
    let cache = cache.map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = cache.or(home.map(|home| Path::new(&home).join(".cache")));
    cache.map_or_else(|| PathBuf::from(".cache"), |cache| cache.join("eddyline"))
}

fn is_executable(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// The value of an environment variable that is set and not empty.
#[allow(
    clippy::disallowed_methods,
    reason = "this file is the crate's one reader of the environment"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_cache_is_one_for_all_folders() {
        let check = |cache: Option<&str>, home: Option<&str>, expected: &str| {
            let found = users_cache(cache.map(Into::into), home.map(Into::into));
            assert_eq!(found, Path::new(expected));
        };
        check(Some("/c"), Some("/h"), "/c/eddyline");
        check(Some("not/absolute"), Some("/h"), "/h/.cache/eddyline");
        check(None, Some("/h"), "/h/.cache/eddyline");
        check(None, None, ".cache");
    }
}
