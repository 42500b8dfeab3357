//! The log of functions: typed lines, and the sink through which they leave the host.
//!
//! Owns nothing but what a sink owns. Must not know where lines are kept or shown, nor
//! how many a function may write: that is its account's.

use protocol::checkpoint::Digest;
use protocol::name::FunctionName;
use tokio::sync::mpsc;

pub use crate::abi::Level;

/// One line of a function's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// When it was written, microseconds since 1970 by this machine's clock.
    pub time_us: u64,
    /// Which function wrote it.
    pub function: FunctionName,
    /// The version that wrote it, as its spec counts them.
    pub version: u64,
    /// The module of that version.
    pub digest: Digest,
    /// The lane that its instance serves.
    pub lane: u16,
    /// How much it matters.
    pub level: Level,
    /// The event that was handled, where that is known: not while an instance starts,
    /// and not in a packed batch of several events.
    pub event_id: Option<String>,
    /// The text, without its line end; at most 4,096 bytes.
    pub text: String,
}

/// Where lines go.
pub trait Sink: Send + Sync {
    /// Takes a line, or says that there is no room: then the line is counted as
    /// dropped, and the function's log says so later. Called on the threads of the
    /// guests: must not block.
    fn take(&self, line: Line) -> bool;
}

/// Writes lines into the log of the process, under the target `function`.
#[derive(Debug, Clone, Copy)]
pub struct ToTracing;

/// A bounded channel is a sink that has no room when it is full or closed.
impl Sink for mpsc::Sender<Line> {
    fn take(&self, line: Line) -> bool {
        self.try_send(line).is_ok()
    }
}

impl Sink for ToTracing {
    fn take(&self, line: Line) -> bool {
        let function = line.function.as_str();
        let digest = &line.digest.as_str()[..12];
        let (lane, event, text) = (line.lane, line.event_id, line.text);
        match line.level {
            Level::Trace => {
                tracing::trace!(target: "function", function, lane, digest, event, "{text}")
            }
            Level::Debug => {
                tracing::debug!(target: "function", function, lane, digest, event, "{text}")
            }
            Level::Info => {
                tracing::info!(target: "function", function, lane, digest, event, "{text}")
            }
            Level::Warn => {
                tracing::warn!(target: "function", function, lane, digest, event, "{text}")
            }
            Level::Error => {
                tracing::error!(target: "function", function, lane, digest, event, "{text}")
            }
        }
        true
    }
}
