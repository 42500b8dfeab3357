//! What the tests are told from outside, and where things are that were built
//! before them. The only file of the crate that reads the environment; it owns
//! nothing.

use std::path::PathBuf;

use bytes::Bytes;
use local::programs;
use rand::Rng;

/// Set to anything: an end-to-end test that cannot run fails instead of being skipped.
pub const REQUIRE_VARIABLE: &str = "EDDYLINE_REQUIRE_E2E";
/// A number from which every random choice of a test follows; random unless set.
pub const SEED_VARIABLE: &str = "EDDYLINE_SEED";
/// Whether a test that cannot run must fail.
pub fn requires_e2e() -> bool {
    variable(REQUIRE_VARIABLE).is_some()
}

/// The seed of a test: the one that was given, or a random one. A failing check
/// prints it.
pub fn seed() -> u64 {
    let given = variable(SEED_VARIABLE).map(|text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{SEED_VARIABLE} is not a number: {text}"))
    });
    given.unwrap_or_else(|| rand::rng().random())
}

#[allow(
    clippy::disallowed_methods,
    reason = "this file is the crate's one reader of the environment"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// A folder for what a test leaves behind on purpose: histories of failures, the
/// data of the shared Kafka.
///
/// # Panics
/// If it cannot be made.
pub fn scratch_folder() -> PathBuf {
    let folder = programs::target_folder().join("tmp");
    std::fs::create_dir_all(&folder).expect("the build's folder can be written");
    folder
}

/// Where compiled code of functions is kept: what one test has compiled no other
/// compiles again.
pub fn compiled() -> PathBuf {
    programs::compiled(&devstack::Config::from_env().cache)
}

/// A program of the workspace.
///
/// # Panics
/// If it is not built.
pub fn program(name: &str) -> PathBuf {
    let path = programs::profile_folder().join(name);
    assert!(
        path.is_file(),
        "{} is not there: run `make build` first",
        path.display()
    );
    path
}

/// The file of a function's module, by its package name.
pub fn module_path(name: &str) -> PathBuf {
    programs::modules_folder().join(programs::module_file(name))
}

/// A function's module, by its package name.
///
/// # Panics
/// If it is not built.
pub fn module(name: &str) -> Bytes {
    let path = module_path(name);
    match std::fs::read(&path) {
        Ok(bytes) => bytes.into(),
        Err(error) => panic!("{}: {error}: run `make functions` first", path.display()),
    }
}
