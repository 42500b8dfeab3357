//! One cached server: a folder that appears whole or not at all, with a stamp
//! that says what is in it. Owns the folder and its lock; how it is filled is
//! the caller's business.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use super::progress::{OnProgress, Progress};
use crate::error::{DevstackError, Result};
use crate::hash;

/// The stamp's file name, inside the folder.
const STAMP: &str = "stamp";

/// A folder `{name}-{version}` of the cache.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Server, for messages.
    pub(crate) component: &'static str,
    /// The cache folder.
    pub(crate) cache: PathBuf,
    /// Folder name inside the cache.
    pub(crate) folder: String,
    /// First line of the stamp: version and hash of what was pinned. A changed
    /// pin makes a new line and so a new fetch.
    pub(crate) header: String,
}

impl Entry {
    /// The folder, whether or not it exists.
    pub(crate) fn path(&self) -> PathBuf {
        self.cache.join(&self.folder)
    }

    /// Whether the folder holds what the stamp says, judged by names and sizes;
    /// hashes were checked before the stamp was written.
    pub(crate) fn is_current(&self) -> bool {
        let path = self.path();
        let Ok(stamp) = fs::read_to_string(path.join(STAMP)) else {
            return false;
        };
        let mut lines = stamp.lines();
        lines.next() == Some(&self.header) && lines.all(|line| is_intact(&path, line))
    }

    /// Fills the folder unless it is current. `fill` gets an empty folder and
    /// leaves in it exactly what is to be cached.
    pub(crate) fn ensure(
        &self,
        progress: OnProgress<'_>,
        fill: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<PathBuf> {
        if !self.is_current() {
            fs::create_dir_all(&self.cache).map_err(DevstackError::io("create", &self.cache))?;
            let lock = self.lock(progress)?;
            // Whoever held the lock before us may have done the work.
            if !self.is_current() {
                self.replace(fill)?;
            }
            drop(lock);
        }
        Ok(self.path())
    }

    fn lock(&self, progress: OnProgress<'_>) -> Result<fs::File> {
        let path = self.cache.join(format!("{}.lock", self.folder));
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(DevstackError::io("open", &path))?;
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            progress(Progress::Waiting {
                component: self.component,
            });
        }
        file.lock().map_err(DevstackError::io("lock", &path))?;
        Ok(file)
    }

    /// Called with the lock held.
    fn replace(&self, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        let prefix = format!(".{}-", self.folder);
        self.remove_leftovers(&prefix);
        let work = tempfile::Builder::new()
            .prefix(&prefix)
            .tempdir_in(&self.cache)
            .map_err(DevstackError::io("create a folder in", &self.cache))?;
        let (fresh, stale) = (work.path().join("fresh"), work.path().join("stale"));
        fs::create_dir(&fresh).map_err(DevstackError::io("create", &fresh))?;
        fill(&fresh)?;

        let stamp = fresh.join(STAMP);
        let text = self.stamp_text(&fresh)?;
        fs::write(&stamp, text).map_err(DevstackError::io("write", &stamp))?;
        let path = self.path();
        if path.exists() {
            fs::rename(&path, &stale).map_err(DevstackError::io("move away", &path))?;
        }
        fs::rename(&fresh, &path).map_err(DevstackError::io("move into place", &path))
    }

    /// Work folders of fetches that were killed; none is live, as we hold the
    /// lock. A failure to delete costs only disk space.
    fn remove_leftovers(&self, prefix: &str) {
        for entry in fs::read_dir(&self.cache).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(prefix) {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }

    fn stamp_text(&self, folder: &Path) -> Result<String> {
        let entries = fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let mut names: Vec<_> = entries
            .map_err(DevstackError::io("list", folder))?
            .into_iter()
            .map(|entry| entry.file_name())
            .collect();
        names.sort();
        let mut text = format!("{}\n", self.header);
        for name in names {
            let path = folder.join(&name);
            let meta = path.metadata().map_err(DevstackError::io("read", &path))?;
            let hash = hash::sha256_file(&path)?;
            writeln!(text, "{hash} {} {}", meta.len(), name.to_string_lossy())
                .expect("writing to a string cannot fail");
        }
        Ok(text)
    }
}

/// Whether the file of one stamp line, `sha256 size name`, is still there.
fn is_intact(folder: &Path, line: &str) -> bool {
    let mut fields = line.splitn(3, ' ').skip(1);
    let (Some(size), Some(name)) = (fields.next(), fields.next()) else {
        return false;
    };
    let meta = folder.join(name).metadata();
    meta.is_ok_and(|meta| Ok(meta.len()) == size.parse())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn entry(cache: &Path, header: &str) -> Entry {
        Entry {
            component: "thing",
            cache: cache.to_path_buf(),
            folder: "thing-1".to_owned(),
            header: header.to_owned(),
        }
    }

    fn fetches(entry: &Entry) -> u32 {
        let count = Cell::new(0);
        entry
            .ensure(&|_| {}, |folder| {
                count.set(count.get() + 1);
                fs::write(folder.join("a"), b"content").map_err(DevstackError::io("write", folder))
            })
            .unwrap();
        count.get()
    }

    #[test]
    fn only_a_changed_pin_or_a_damaged_file_is_fetched_again() {
        let cache = tempfile::tempdir().unwrap();
        let first = entry(cache.path(), "thing 1 abc");
        assert_eq!(fetches(&first), 1);
        assert_eq!(fetches(&first), 0);
        fs::write(first.path().join("a"), b"cut").unwrap();
        assert_eq!(fetches(&first), 1);
        assert_eq!(fetches(&entry(cache.path(), "thing 1 def")), 1);
    }

    #[test]
    fn a_failed_fetch_leaves_nothing_behind() {
        let cache = tempfile::tempdir().unwrap();
        let entry = entry(cache.path(), "thing 1 abc");
        let refused = entry.ensure(&|_| {}, |folder| {
            fs::write(folder.join("a"), b"half").unwrap();
            Err(DevstackError::BadHashList { line: 1 })
        });
        assert!(refused.is_err());
        let left: Vec<_> = fs::read_dir(cache.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(left, ["thing-1.lock"]);
    }

    #[test]
    fn two_that_fetch_at_once_do_the_work_once() {
        let cache = tempfile::tempdir().unwrap();
        let total: u32 = std::thread::scope(|scope| {
            let work = || fetches(&entry(cache.path(), "thing 1 abc"));
            let both = [scope.spawn(work), scope.spawn(work)];
            both.map(|thread| thread.join().unwrap()).iter().sum()
        });
        assert_eq!(total, 1);
    }
}
