//! Everything that can go wrong with the servers, worded for the person who has
//! to repair it. Owns no state.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use crate::missing::Missing;

/// Result of this crate.
pub type Result<T, E = DevstackError> = std::result::Result<T, E>;

/// Failure to fetch, start or stop a server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DevstackError {
    /// The machine lacks programs; each entry says what to install.
    #[error("{}", sentences(.0))]
    Missing(Vec<Missing>),
    /// A fetched file is not the one that was pinned. Not temporary.
    #[error("{file} is refused: its sha256 is {found}, the pinned one is {expected}")]
    HashMismatch {
        /// Name of the file.
        file: String,
        /// Pinned hash, lower-case hexadecimal.
        expected: String,
        /// Hash of what was fetched.
        found: String,
    },
    /// A folder does not hold exactly the pinned files. Not temporary.
    #[error("{file} is refused: {reason}")]
    UnexpectedFile {
        /// Name of the file.
        file: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A list of pinned hashes cannot be read.
    #[error("line {line} of the hash list is not `sha256  name`")]
    BadHashList {
        /// Line number, from one.
        line: usize,
    },
    /// A helper program failed. Often temporary (network).
    #[error("{program} failed ({status}); its last lines:\n{output}")]
    Tool {
        /// Name of the program.
        program: String,
        /// How it ended.
        status: ExitStatus,
        /// The end of its output.
        output: String,
    },
    /// The operating system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Another live server holds the data folder. Temporary.
    #[error("data folder {} is used by another server", path.display())]
    DataInUse {
        /// The folder.
        path: PathBuf,
    },
    /// No free port was found in the range. Temporary.
    #[error("no free port between {first} and {last}")]
    NoFreePort {
        /// First port tried.
        first: u16,
        /// Last port tried.
        last: u16,
    },
    /// The server did not become ready within its deadline.
    #[error("{server} is not ready after {} ms ({problem}); its last log lines:\n{log}", waited.as_millis())]
    NotReady {
        /// Which server.
        server: &'static str,
        /// The deadline that passed.
        waited: Duration,
        /// What was still missing.
        problem: String,
        /// The end of its log.
        log: String,
    },
    /// The server ended although nobody stopped it.
    #[error("{server} ended by itself ({status}); its last log lines:\n{log}")]
    Exited {
        /// Which server.
        server: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// The end of its log.
        log: String,
    },
    /// The start was given up because nobody waits for it any more.
    #[error("the start of {server} was interrupted")]
    Interrupted {
        /// Which server.
        server: &'static str,
    },
    /// The operation needs a running server, and this one is stopped.
    #[error("{server} is not running")]
    NotRunning {
        /// Which server.
        server: &'static str,
    },
    /// A server that was said to be running does not answer. Temporary.
    #[error("{server} does not answer at {address}")]
    Unreachable {
        /// Which server.
        server: &'static str,
        /// The address that was given.
        address: String,
        /// The cause.
        source: io::Error,
    },
}

impl DevstackError {
    /// Adapter for `map_err` that names the action and the path.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DevstackError {
        let path = path.to_path_buf();
        move |source| DevstackError::Io {
            action,
            path,
            source,
        }
    }
}

fn sentences(missing: &[Missing]) -> String {
    let lines: Vec<String> = missing.iter().map(Missing::to_string).collect();
    lines.join("\n")
}
