//! What functions write into their logs, as `LOGS` keeps it: some lines of one function
//! to a message, as a JSON array. Plain data.

use serde::{Deserialize, Serialize};

use crate::checkpoint::Digest;
use crate::lane::Lane;
use crate::name::FunctionName;

/// One line. A message on `log.{store}.{function}` is an array of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// When it was written, microseconds since 1970 by its worker's clock.
    pub time_us: u64,
    /// The function.
    pub function: FunctionName,
    /// The version that wrote it, as its spec counts them.
    pub version: u64,
    /// The module of that version.
    pub digest: Digest,
    /// The lane that it handled.
    pub lane: Lane,
    /// The worker.
    pub worker: String,
    /// How much it matters.
    pub level: LogLevel,
    /// The event that was handled, where that is known: not while an instance starts, and
    /// not in a batch of several events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// The text.
    pub text: String,
}

/// How much a line matters, the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// Every step.
    Trace,
    /// For whoever looks for a fault.
    Debug,
    /// News.
    Info,
    /// Something is not as it should be.
    Warn,
    /// Something has failed.
    Error,
}

impl LogLevel {
    /// Every level, the least first.
    pub const ALL: [Self; 5] = [
        Self::Trace,
        Self::Debug,
        Self::Info,
        Self::Warn,
        Self::Error,
    ];

    /// The level as text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_written_as_they_are_called() {
        for level in LogLevel::ALL {
            let json = serde_json::to_string(&level).unwrap();
            assert_eq!(json, format!("{:?}", level.as_str()));
        }
        assert!(LogLevel::ALL.is_sorted());
    }
}
