//! The inputs that are committed: a folder for each target, a file for each input. What
//! once failed belongs there, so that it is tried first from then on.

use std::path::{Path, PathBuf};

/// Where they are.
pub fn folder(target: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    root.join("corpus").join(target)
}

/// The inputs of a target, sorted by their names.
///
/// # Errors
/// The folder, or a file in it, cannot be read.
pub fn read(target: &str) -> std::io::Result<Vec<Vec<u8>>> {
    let files = std::fs::read_dir(folder(target))?;
    let mut files: Vec<PathBuf> = files
        .map(|file| file.map(|file| file.path()))
        .collect::<Result<_, _>>()?;
    files.sort();
    files.iter().map(std::fs::read).collect()
}
