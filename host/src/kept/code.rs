//! The files of compiled code in a folder of Wasmtime's: which there are, when each was
//! used last, and which have to go so that the folder holds no more than it may.
//!
//! Owns nothing; removes files. Must not know what is in one.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Folders inside Wasmtime's in which files are: by kind, and by compiler.
const DEPTH: usize = 2;
/// What the name of a file is followed by in that of the file that is written whenever it
/// is used.
const USED: &str = "stats";

/// A file of compiled code.
pub struct Code {
    /// Where it is.
    pub path: PathBuf,
    /// Its name, which is that of its seal as well.
    pub name: OsString,
    /// When it was written, and how long it is.
    pub stamp: Stamp,
}

/// When a file was written, and how long it is.
pub type Stamp = (Option<SystemTime>, u64);

impl Code {
    /// Names of code have no dot; those of what is unfinished, or beside it, do.
    fn of(path: PathBuf) -> Option<Self> {
        let name = path.file_name()?.to_owned();
        let metadata = path.metadata().ok()?;
        let is_code = metadata.is_file() && path.extension().is_none();
        is_code.then(|| Self {
            stamp: (metadata.modified().ok(), metadata.len()),
            name,
            path,
        })
    }

    fn used_file(&self) -> PathBuf {
        self.path.with_extension(USED)
    }

    fn used(&self) -> Option<SystemTime> {
        let used = self.used_file().metadata().and_then(|data| data.modified());
        used.ok().max(self.stamp.0)
    }
}

/// All of a folder.
pub fn list(folder: &Path) -> Vec<Code> {
    let mut folders = vec![folder.to_owned()];
    for _ in 0..DEPTH {
        let inside = folders.iter().flat_map(|folder| entries(folder));
        folders = inside.filter(|path| path.is_dir()).collect();
    }
    let files = folders.iter().flat_map(|folder| entries(folder));
    files.filter_map(Code::of).collect()
}

/// Removes what was used longest ago, until the rest has at most so many bytes.
pub fn bound(folder: &Path, bytes_max: u64) {
    let mut files = list(folder);
    files.sort_by_key(|code| std::cmp::Reverse(code.used()));
    let mut bytes = 0;
    for code in files {
        bytes += code.stamp.1;
        if bytes > bytes_max {
            let (file, length) = (code.path.display(), code.stamp.1);
            tracing::info!(%file, length, "compiled code makes room for newer");
            remove(&code.path);
            remove(&code.used_file());
        }
    }
}

/// What is in a folder; nothing where it cannot be read.
pub fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path())
}

/// Another process may have been first.
pub fn remove(path: &Path) {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(file = %path.display(), %error, "it cannot be removed");
        }
        _ => {}
    }
}
