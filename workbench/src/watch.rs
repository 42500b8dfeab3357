//! Whether the files of a folder have changed since they were last looked at, by their
//! times and lengths. Polled: a folder of sources is small, and every file system has
//! times.
//!
//! Owns what was seen last. Must not know what the files are for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// How often to look: sooner than somebody has left the editor.
pub const LOOK_INTERVAL: std::time::Duration = std::time::Duration::from_millis(250);
/// Folders that tools fill, so that building is no change.
const IGNORED: [&str; 6] = [
    "target",
    "build",
    "node_modules",
    "__pycache__",
    "dist",
    "tests",
];
/// Most files that are looked at: more are no sources, and a look must stay cheap.
const FILES_MAX: usize = 10_000;

type Seen = BTreeMap<PathBuf, (Option<SystemTime>, u64)>;

/// A folder that is looked at.
#[derive(Debug)]
pub struct Watched {
    folder: PathBuf,
    seen: Seen,
    /// A change that goes on: an editor may write several files one after another.
    unsettled: bool,
}

impl Watched {
    /// A folder as it is now.
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            seen: look(folder),
            unsettled: false,
        }
    }

    /// Whether something has changed and then stayed as it is for one look.
    pub fn changed(&mut self) -> bool {
        let now = look(&self.folder);
        if now != self.seen {
            self.seen = now;
            self.unsettled = true;
            return false;
        }
        std::mem::take(&mut self.unsettled)
    }
}

fn look(folder: &Path) -> Seen {
    let mut seen = Seen::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        // A folder that is gone by now has nothing.
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let hidden = name.to_string_lossy().starts_with('.');
            let Ok(meta) = entry.metadata() else { continue };
            if meta.is_dir() && !hidden && !IGNORED.iter().any(|ignored| name == *ignored) {
                open.push(entry.path());
            } else if meta.is_file() && !hidden && is_source(&entry.path()) {
                seen.insert(entry.path(), (meta.modified().ok(), meta.len()));
            }
            if seen.len() >= FILES_MAX {
                return seen;
            }
        }
    }
    seen
}

/// Not what a build writes beside the sources.
fn is_source(path: &Path) -> bool {
    let written = ["wasm", "lock", "pyc"];
    let extension = path.extension().and_then(|text| text.to_str());
    !extension.is_some_and(|extension| written.contains(&extension))
        && path
            .file_name()
            .is_none_or(|name| name != "package-lock.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_counts_once_when_it_has_settled() {
        let folder = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        put("src/lib.rs", "a");
        let mut watched = Watched::new(folder.path());
        assert!(!watched.changed());
        put("src/lib.rs", "ab");
        assert!(!watched.changed(), "it may go on");
        put("src/other.rs", "x");
        assert!(!watched.changed(), "it goes on");
        assert!(watched.changed());
        assert!(!watched.changed(), "once");
        std::fs::remove_file(folder.path().join("src/other.rs")).unwrap();
        assert!(!watched.changed());
        assert!(watched.changed(), "what is gone counts too");
    }

    #[test]
    fn what_a_build_writes_is_no_change() {
        let folder = tempfile::tempdir().unwrap();
        let mut watched = Watched::new(folder.path());
        for path in [
            "target/a/b.o",
            ".git/x",
            "function.wasm",
            "Cargo.lock",
            "build/x.js",
        ] {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        }
        assert!(!watched.changed() && !watched.changed());
    }
}
