//! Folders that programs of this machine share. Owns nothing.

use std::path::{Path, PathBuf};

/// Where compiled code is, in the cache folder.
const COMPILED: &str = "compiled";

/// The cache folder of this machine's development servers.
pub fn cache() -> PathBuf {
    devstack::Config::from_env().cache
}

/// Where compiled code is kept: a function is compiled once on this machine, whoever
/// builds, tests, deploys or runs it. Whoever can write there can run code in the name of
/// who uses this program.
pub fn compiled() -> PathBuf {
    compiled_in(&cache())
}

/// The same, in another cache folder.
pub fn compiled_in(cache: &Path) -> PathBuf {
    cache.join(COMPILED)
}
