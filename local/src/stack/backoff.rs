//! How long to wait before something that failed is started again. Owns the count of
//! failures in a row.

use std::time::Duration;

/// First wait: a server that was killed while it started can be started again at once.
const FIRST: Duration = Duration::from_millis(250);
/// Longest wait: somebody sits before it, repairs the cause, and wants to see it.
const LONGEST: Duration = Duration::from_secs(8);

/// Waits that double.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The next wait.
    pub fn next(&mut self) -> Duration {
        let factor = 1 << self.failures.min(16);
        self.failures += 1;
        (FIRST * factor).min(LONGEST)
    }

    /// It has run for some time: the next failure is a first one, if that was longer
    /// than any wait.
    pub fn ran_for(&mut self, time: Duration) {
        if time > LONGEST {
            self.failures = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_bound_and_begin_anew() {
        let mut backoff = Backoff::default();
        let waits: Vec<u128> = (0..8).map(|_| backoff.next().as_millis()).collect();
        assert_eq!(waits, [250, 500, 1000, 2000, 4000, 8000, 8000, 8000]);
        backoff.ran_for(Duration::from_secs(1));
        assert_eq!(backoff.next(), LONGEST);
        backoff.ran_for(Duration::from_secs(9));
        assert_eq!(backoff.next(), FIRST);
    }
}
