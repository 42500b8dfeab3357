//! Who leaves a draining node when: so many sessions a second, so that the nodes they go
//! to are not met by all of them at once.
//!
//! Owns how many have been given their time.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// The order of departures.
#[derive(Debug)]
pub struct Departures {
    per_second: u64,
    begun: OnceLock<Instant>,
    given: AtomicU64,
}

impl Departures {
    /// So many a second; nobody leaves yet.
    pub fn new(per_second: u64) -> Self {
        Self {
            per_second: per_second.max(1),
            begun: OnceLock::new(),
            given: AtomicU64::new(0),
        }
    }

    /// When the next one leaves. The first that asks does so at once.
    pub fn next(&self, now: Instant) -> Instant {
        let begun = *self.begun.get_or_init(|| now);
        let before = self.given.fetch_add(1, Ordering::Relaxed);
        begun + self.lasts(before)
    }

    /// How long it takes until so many have left.
    pub fn lasts(&self, sessions: u64) -> Duration {
        Duration::from_secs(sessions) / u32::try_from(self.per_second).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_leaves_after_the_other_at_the_rate() {
        let (departures, now) = (Departures::new(100), Instant::now());
        let times: Vec<Instant> = (0..3).map(|_| departures.next(now)).collect();
        let step = Duration::from_millis(10);
        assert_eq!(times, [now, now + step, now + 2 * step]);
        let later = now + Duration::from_secs(1);
        assert_eq!(
            departures.next(later),
            now + 3 * step,
            "it counts from the start"
        );
        assert_eq!(departures.lasts(10_000), Duration::from_secs(100));
    }
}
