//! How fast something may go on: so much a second, and what two seconds of silence have
//! saved.
//!
//! The generic cell rate algorithm (ITU-T I.371, annex A) on one number, the time at which
//! everything that was taken is paid for: no timer, no lock, and nothing to refill.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// What may be taken at once after a pause, in seconds of the rate: what a client has
/// gathered while its connection was broken for a moment.
pub const BURST_SECONDS: u64 = 2;
const NANOS: u64 = 1_000_000_000;

/// One rate. Shared by whoever it counts; exact to within what runs beside each other.
#[derive(Debug)]
pub struct Rate {
    per_second: u64,
    /// Nothing is owed from here on, nanoseconds since `begin`.
    paid_at: AtomicU64,
    begin: Instant,
}

impl Rate {
    /// So much a second, from now on.
    pub fn new(per_second: u64, now: Instant) -> Self {
        Self {
            per_second: per_second.max(1),
            paid_at: AtomicU64::new(0),
            begin: now,
        }
    }

    /// How long to wait before `cost` may be taken; `None`: not at all. What is more than
    /// a whole burst is taken once nothing is owed.
    pub fn wait(&self, cost: u64, now: Instant) -> Option<Duration> {
        let (now, paid_at) = (self.nanos(now), self.paid_at.load(Ordering::Relaxed));
        let burst = BURST_SECONDS * NANOS;
        let cost = self.price(cost).min(burst);
        let over = (paid_at.max(now) + cost).saturating_sub(now + burst);
        (over > 0).then(|| Duration::from_nanos(over))
    }

    /// Takes it, whether or not there is room.
    pub fn take(&self, cost: u64, now: Instant) {
        let (now, price) = (self.nanos(now), self.price(cost));
        let paid = |paid_at: u64| Some(paid_at.max(now).saturating_add(price));
        // The closure never declines.
        let _ = self
            .paid_at
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, paid);
    }

    /// Whether nothing is owed: a new rate would say the same.
    pub fn is_fresh(&self, now: Instant) -> bool {
        self.paid_at.load(Ordering::Relaxed) <= self.nanos(now)
    }

    fn price(&self, cost: u64) -> u64 {
        let price = u128::from(cost) * u128::from(NANOS) / u128::from(self.per_second);
        u64::try_from(price).unwrap_or(u64::MAX)
    }

    fn nanos(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.begin);
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX / 2)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_burst_is_taken_at_once_and_the_next_waits_for_its_share() {
        let now = Instant::now();
        let rate = Rate::new(10, now);
        for _ in 0..20 {
            assert_eq!(rate.wait(1, now), None);
            rate.take(1, now);
        }
        assert_eq!(rate.wait(1, now), Some(Duration::from_millis(100)));
        let later = now + Duration::from_millis(100);
        assert_eq!(rate.wait(1, later), None);
        assert!(!rate.is_fresh(later));
        assert!(rate.is_fresh(now + Duration::from_secs(2)));
    }

    #[test]
    fn what_is_more_than_a_burst_passes_alone() {
        let now = Instant::now();
        let rate = Rate::new(10, now);
        assert_eq!(rate.wait(1_000, now), None);
        rate.take(1_000, now);
        assert_eq!(rate.wait(1, now), Some(Duration::from_millis(98_100)));
    }

    proptest! {
        /// However it is asked, no more passes than the burst and the rate allow.
        #[test]
        fn no_more_passes_than_is_allowed(
            per_second in 1_u64..5_000,
            steps in prop::collection::vec((0_u64..50_000, 1_u64..64), 1..200),
        ) {
            let begin = Instant::now();
            let rate = Rate::new(per_second, begin);
            let (mut at, mut passed, mut last) = (Duration::ZERO, 0, 0);
            for (micros, cost) in steps {
                at += Duration::from_micros(micros);
                if rate.wait(cost, begin + at).is_none() {
                    rate.take(cost, begin + at);
                    passed += cost;
                    last = cost;
                }
            }
            let allowed = per_second as f64 * (at.as_secs_f64() + BURST_SECONDS as f64);
            prop_assert!(passed as f64 <= allowed + last as f64 + 1.0);
        }
    }
}
