//! How long to wait before something is tried again. Owns the number of failures.

use std::time::Duration;

use rand::Rng;

/// Doublings that are counted: past it the longest wait is reached in any case.
const DOUBLINGS_MAX: u32 = 16;

/// Waits that double up to a longest one, each drawn between its half and the whole,
/// so that who failed together does not come back together.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    /// Waits from `first` to `longest`.
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            failures: 0,
        }
    }

    /// The next wait.
    pub fn next_wait(&mut self) -> Duration {
        let doubled = self
            .first
            .saturating_mul(1 << self.failures.min(DOUBLINGS_MAX));
        let whole = doubled.min(self.longest);
        self.failures = self.failures.saturating_add(1);
        rand::rng().random_range(whole / 2..=whole)
    }

    /// Waits. Cancel safe: a wait that was cancelled counts as a failure.
    pub async fn wait(&mut self) {
        tokio::time::sleep(self.next_wait()).await;
    }

    /// How often it has failed in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// It went well: the next failure is a first one again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_limit_and_start_again() {
        let (first, longest) = (Duration::from_millis(50), Duration::from_secs(5));
        let mut backoff = Backoff::new(first, longest);
        assert!((first / 2..=first).contains(&backoff.next_wait()));
        assert!((first..=first * 2).contains(&backoff.next_wait()));
        for _ in 0..100 {
            backoff.next_wait();
        }
        assert!((longest / 2..=longest).contains(&backoff.next_wait()));
        backoff.reset();
        assert!(backoff.next_wait() <= first);
    }
}
