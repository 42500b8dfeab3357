//! Why a running `dev` is not found, or cannot be one. Owns nothing.

use std::path::PathBuf;

/// Why a `dev` is not found or has no name.
#[derive(Debug, thiserror::Error)]
pub enum RunningError {
    /// Another one has the name.
    #[error("an `eddyline dev` named {name} runs already")]
    Taken {
        /// The name.
        name: String,
    },
    /// It cannot be called so.
    #[error("{name:?} is no name: up to {max} letters, digits, - and _ are")]
    Name {
        /// What it was to be called.
        name: String,
        /// Most bytes.
        max: usize,
    },
    /// As many as there may be run already.
    #[error("{max} of `eddyline dev` run here already")]
    TooMany {
        /// How many.
        max: usize,
    },
    /// A file or folder cannot be used.
    #[error("{} cannot be used: {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        problem: String,
    },
    /// None of this name runs.
    #[error("no `eddyline dev` named {name} is running here")]
    NoSuch {
        /// The name.
        name: String,
        /// Those that do, separated by commas; empty if none does.
        running: String,
    },
    /// Several run, and which is meant is not said.
    #[error("several of `eddyline dev` run here: {running}")]
    Several {
        /// Their names, separated by commas.
        running: String,
    },
}
