//! The wall clock. Owns nothing; for durations use tokio's `Instant`, which tests can
//! pause.

use std::time::{SystemTime, UNIX_EPOCH};

/// Microseconds since 1970 by this machine's clock; 0 before.
pub fn now_us() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_micros() as u64)
}
