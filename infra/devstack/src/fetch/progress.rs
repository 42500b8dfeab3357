//! What fetching says while it works. Plain values.

use std::fmt;
use std::path::PathBuf;

/// What is happening, for a person who waits. `Display` gives one line.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// Another process is fetching the same server; we wait for it.
    Waiting {
        /// Which server.
        component: &'static str,
    },
    /// A step of the work has begun.
    Step {
        /// Which server.
        component: &'static str,
        /// The step.
        text: String,
    },
    /// The server can be started.
    Ready {
        /// Which server.
        component: &'static str,
        /// Where it is.
        path: PathBuf,
    },
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Progress::Waiting { component } => {
                write!(
                    f,
                    "{component}: waiting for another process that fetches it"
                )
            }
            Progress::Step { component, text } => write!(f, "{component}: {text}"),
            Progress::Ready { component, path } => write!(f, "{component}: {}", path.display()),
        }
    }
}

/// Receives progress; called from the fetching thread, and should return soon.
pub type OnProgress<'a> = &'a dyn Fn(Progress);
