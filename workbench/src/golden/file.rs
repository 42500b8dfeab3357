//! The files of recorded events: one event as `.json`, or one in each line as `.jsonl`.
//! Owns them.

use std::io;
use std::path::{Path, PathBuf};

use super::record::Record;

/// Where they are, in the function's folder.
pub const FOLDER: &str = "tests/golden";
/// Most bytes of a file: each event is held in memory, with what it became.
pub const FILE_BYTES_MAX: u64 = 64 << 20;

/// Why recorded events cannot be had, or kept.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file or folder cannot be read or written.
    #[error("{} cannot be used", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is too long.
    #[error("{} has {bytes} bytes, at most {FILE_BYTES_MAX} are read", path.display())]
    TooLong {
        /// Which.
        path: PathBuf,
        /// Its length.
        bytes: u64,
    },
    /// An event cannot be understood.
    #[error("{}, event {number}: {problem}", path.display())]
    Record {
        /// In which file.
        path: PathBuf,
        /// Which one, from 1.
        number: usize,
        /// What is wrong.
        problem: String,
    },
}

impl FileError {
    fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        |source| Self::Io {
            path: path.to_owned(),
            source,
        }
    }
}

/// The files of a function, by name; none where there is no folder.
///
/// # Errors
/// The folder cannot be read.
pub fn list(function: &Path) -> Result<Vec<PathBuf>, FileError> {
    let folder = function.join(FOLDER);
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(FileError::io(&folder)(error)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(FileError::io(&folder))?.path();
        if is_json(&path) || is_lines(&path) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn is_json(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "json")
}

fn is_lines(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "jsonl")
}

/// The events of a file, in order.
///
/// # Errors
/// [`FileError`] names the file, and the event.
pub fn read(path: &Path) -> Result<Vec<Record>, FileError> {
    let bytes = path.metadata().map_err(FileError::io(path))?.len();
    if bytes > FILE_BYTES_MAX {
        let path = path.to_owned();
        return Err(FileError::TooLong { path, bytes });
    }
    let text = std::fs::read_to_string(path).map_err(FileError::io(path))?;
    let parse = |(number, text): (usize, &str)| {
        serde_json::from_str(text).map_err(|error| FileError::Record {
            path: path.to_owned(),
            number,
            problem: error.to_string(),
        })
    };
    if !is_lines(path) {
        return Ok(vec![parse((1, &text))?]);
    }
    let lines = (1..).zip(text.lines());
    lines
        .filter(|(_, line)| !line.trim().is_empty())
        .map(parse)
        .collect()
}

/// Writes the events back, whole or not at all.
///
/// # Errors
/// The file cannot be written.
pub fn write(path: &Path, records: &[Record]) -> Result<(), FileError> {
    let lines = records.iter().map(|record| {
        let json = match is_lines(path) {
            true => serde_json::to_string(record),
            false => serde_json::to_string_pretty(record),
        };
        json.expect("a record has only texts, numbers and JSON") + "\n"
    });
    // Beside it first, so that an end in between leaves the old one.
    let beside = path.with_extension("new");
    std::fs::write(&beside, lines.collect::<String>())
        .and_then(|()| std::fs::rename(&beside, path))
        .map_err(FileError::io(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_come_back_as_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        assert!(list(folder.path()).unwrap().is_empty());
        let golden = folder.path().join(FOLDER);
        std::fs::create_dir_all(&golden).unwrap();
        let (one, many) = (golden.join("one.json"), golden.join("many.jsonl"));
        std::fs::write(&one, r#"{"channel":"a","data":{"x": 1}}"#).unwrap();
        let lines = "{\"channel\":\"a\",\"text\":\"x\"}\n\n{\"channel\":\"b\",\"text\":\"y\"}\n";
        std::fs::write(&many, lines).unwrap();
        std::fs::write(golden.join("notes.md"), "not mine").unwrap();
        assert_eq!(list(folder.path()).unwrap(), [many.clone(), one.clone()]);
        for path in [&one, &many] {
            let records = read(path).unwrap();
            write(path, &records).unwrap();
            let again = read(path).unwrap();
            let texts = |records: &[Record]| serde_json::to_string(records).unwrap();
            assert_eq!(texts(&again), texts(&records));
        }
        assert_eq!(read(&many).unwrap().len(), 2);
        let kept = std::fs::read_to_string(&one).unwrap();
        assert!(kept.contains(r#"{"x": 1}"#), "byte for byte: {kept}");
    }

    #[test]
    fn a_bad_event_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bad.jsonl");
        std::fs::write(&path, "{\"channel\":\"a\",\"text\":\"x\"}\n\n{}\n").unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains("bad.jsonl, event 3"), "{error}");
        let sparse = std::fs::File::create(&path).unwrap();
        sparse.set_len(FILE_BYTES_MAX + 1).unwrap();
        assert!(matches!(read(&path), Err(FileError::TooLong { .. })));
    }
}
