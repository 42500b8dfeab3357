//! Wall-clock time as the protocol writes it. Owns nothing.

use std::time::{SystemTime, UNIX_EPOCH};

/// Now, microseconds since 1970.
pub fn now_us() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
