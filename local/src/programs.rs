//! Where built programs and modules are: beside the program that runs. Owns nothing.

use std::path::{Path, PathBuf};

/// Where `make functions` puts modules, from the folder of build profiles.
const MODULES_FOLDER: &str = "wasm32-wasip2/release";
/// What every variable of ours starts with. Services take such variables for
/// settings, so a child process inherits none but the log filter.
const PREFIX: &str = "EDDYLINE_";

/// The folder of the running program's profile; tests run one folder deeper.
pub fn profile_folder() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    let folder = program.parent().unwrap_or(Path::new("."));
    let above = folder.parent().filter(|_| folder.ends_with("deps"));
    above.unwrap_or(folder).to_path_buf()
}

/// The folder that holds all profiles.
pub fn target_folder() -> PathBuf {
    let profile = profile_folder();
    profile.parent().map_or(profile.clone(), Path::to_path_buf)
}

/// The folder of the built functions.
pub fn modules_folder() -> PathBuf {
    target_folder().join(MODULES_FOLDER)
}

/// Name of a function's module, by its package.
pub fn module_file(name: &str) -> String {
    format!("{}.wasm", name.replace('-', "_"))
}

/// Names of variables that a child process must not inherit.
pub(crate) fn private_variables() -> Vec<String> {
    std::env::vars_os()
        .filter_map(|(name, _)| name.into_string().ok())
        .filter(|name| name.starts_with(PREFIX) && name != service::telemetry::LOG_VARIABLE)
        .collect()
}

/// Where compiled code of functions is kept, in the cache folder of a machine: each is
/// compiled once, by whichever process comes first.
pub fn compiled(cache: &Path) -> PathBuf {
    running::compiled_in(cache)
}
