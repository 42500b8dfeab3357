//! The limits of the bus, the same for every backend.

use std::time::Duration;

pub use protocol::bus::BATCH_EVENTS_MAX;

/// How long an acknowledgement is waited for. After it the outcome is unknown.
pub const PUBLISH_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a request waits for its answer.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// Most subjects of one [`crate::Bus::last_seqs`].
pub const LAST_SEQS_MAX: usize = 256;
/// Most last messages that one read of a filter brings: the server answers no more.
pub const LAST_EACH_MAX: usize = 1_024;
/// Most events of one [`crate::Bus::next_on`].
pub const NEXT_EVENTS_MAX: usize = 4_096;
/// Most events of one pull request of a reader: two of them have to fit the
/// subscription.
pub const READER_BATCH_MAX: usize = 10_000;
