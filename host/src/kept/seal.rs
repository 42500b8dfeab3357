//! Seals of files: a hash of each as it was written, in a folder beside theirs.
//!
//! Owns the seals, and removes files that are not what was sealed. Must not know what is
//! in a file.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use parking_lot::Mutex;
use xxhash_rust::xxh3::xxh3_128;

use super::code::{self, Code, Stamp, entries, remove};

/// The folder of the seals.
const FOLDER: &str = "seals";
/// How long a file may be without a seal: whoever wrote it seals it right away.
const UNSEALED_MAX: Duration = Duration::from_secs(60);

/// The seals of a folder's files.
#[derive(Debug)]
pub struct Seals {
    code: PathBuf,
    folder: PathBuf,
    /// Files that this process has found sound, as they were then.
    sound: Mutex<HashMap<OsString, Stamp>>,
}

/// What a file is found to be.
enum Found {
    Sound,
    /// Its writer is about to seal it.
    Fresh,
    Damaged(&'static str),
}

impl Seals {
    /// The seals of the files of `code`, in a part of `folder`.
    pub fn open(code: &Path, folder: &Path) -> io::Result<Self> {
        let folder = folder.join(FOLDER);
        std::fs::create_dir_all(&folder)?;
        Ok(Self {
            code: code.to_owned(),
            folder,
            sound: Mutex::default(),
        })
    }

    /// Removes what is damaged, and tells of it: then it is compiled again. Each file is
    /// read once in the life of a process.
    pub fn check(&self) {
        // First, so that a seal without a file has lost its file.
        let mut orphans: HashSet<OsString> = names(&self.folder).collect();
        let mut sound = self.sound.lock();
        for code in code::list(&self.code) {
            orphans.remove(&code.name);
            if sound.get(&code.name) == Some(&code.stamp) {
                continue;
            }
            match self.judge(&code) {
                Found::Sound => {
                    sound.insert(code.name, code.stamp);
                }
                Found::Fresh => {}
                Found::Damaged(problem) => {
                    remove(&code.path);
                    remove(&self.folder.join(&code.name));
                    sound.remove(&code.name);
                    let file = code.path.display();
                    tracing::warn!(%file, problem, "compiled code is damaged and made anew");
                    metrics::counter!("function_code_damaged_total").increment(1);
                }
            }
        }
        for name in orphans {
            remove(&self.folder.join(&name));
            sound.remove(&name);
        }
    }

    /// Seals what has no seal yet.
    pub fn seal(&self) {
        for code in code::list(&self.code) {
            let seal = self.folder.join(&code.name);
            if seal.exists() {
                continue;
            }
            let written = std::fs::read(&code.path).and_then(|bytes| write(&seal, &bytes));
            match written {
                Ok(()) => {
                    self.sound.lock().insert(code.name, code.stamp);
                }
                Err(error) => {
                    let file = code.path.display();
                    tracing::warn!(%file, %error, "compiled code is not sealed and lost soon");
                }
            }
        }
    }

    fn judge(&self, code: &Code) -> Found {
        let sealed = std::fs::read_to_string(self.folder.join(&code.name));
        let Ok(sealed) = sealed else {
            let age = code.stamp.0.and_then(|written| written.elapsed().ok());
            return match age.is_some_and(|age| age < UNSEALED_MAX) {
                true => Found::Fresh,
                false => Found::Damaged("it has no seal"),
            };
        };
        match std::fs::read(&code.path) {
            Ok(bytes) if hash(&bytes) == sealed => Found::Sound,
            Ok(_) => Found::Damaged("it is not what was written"),
            Err(_) => Found::Damaged("it cannot be read"),
        }
    }
}

fn names(folder: &Path) -> impl Iterator<Item = OsString> + use<> {
    let seals = entries(folder).filter(|path| path.extension().is_none());
    seals.filter_map(|path| path.file_name().map(OsStr::to_owned))
}

fn hash(bytes: &[u8]) -> String {
    format!("{:032x}", xxh3_128(bytes))
}

/// Whole or not at all.
fn write(seal: &Path, code: &[u8]) -> io::Result<()> {
    let beside = seal.with_extension(std::process::id().to_string());
    std::fs::write(&beside, hash(code))?;
    std::fs::rename(beside, seal)
}
