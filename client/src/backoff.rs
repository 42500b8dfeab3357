//! How long to wait before connecting again. Owns the number of failures.

use std::time::Duration;

use rand::Rng;

/// Wait after the first failure: a restart of a node on this machine takes less.
const FIRST: Duration = Duration::from_millis(50);
/// Longest wait: what a person accepts before they reload.
const LONGEST: Duration = Duration::from_secs(5);
/// Doublings after which the longest wait is reached.
const DOUBLINGS_MAX: u32 = 7;

/// Waits that double, each drawn between half and the whole, so that clients that
/// were cut off together do not come back together.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The next wait.
    pub fn next(&mut self) -> Duration {
        let whole = FIRST
            .saturating_mul(1 << self.failures.min(DOUBLINGS_MAX))
            .min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        rand::rng().random_range(whole / 2..=whole)
    }

    /// A session stood: the next failure is a first one again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_limit_and_start_again() {
        let mut backoff = Backoff::default();
        assert!((FIRST / 2..=FIRST).contains(&backoff.next()));
        for _ in 0..40 {
            backoff.next();
        }
        assert!((LONGEST / 2..=LONGEST).contains(&backoff.next()));
        backoff.reset();
        assert!(backoff.next() <= FIRST);
    }
}
