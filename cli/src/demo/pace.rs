//! How fast all editors together may publish. Owns the time of the next turn.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How far turns may be in the past when they are given out: timers wake up a
/// millisecond or two late, which must not lower the rate, and an editor that
/// waited for another must not make up for it in one go.
const LATE_MAX: Duration = Duration::from_millis(5);

/// Gives out turns at even intervals.
#[derive(Debug)]
pub struct Pace {
    interval: Duration,
    next: Mutex<Instant>,
}

impl Pace {
    /// A pace of `rate` turns per second, which must be positive.
    pub fn new(rate: f64) -> Self {
        Self {
            interval: Duration::from_secs_f64(1.0 / rate),
            next: Mutex::new(Instant::now()),
        }
    }

    /// The next turn. Whoever takes it uses it.
    pub fn turn(&self, now: Instant) -> Instant {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let earliest = now.checked_sub(LATE_MAX).unwrap_or(now);
        let turn = (*next).max(earliest);
        *next = turn + self.interval;
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn turns_are_even_and_a_pause_is_not_made_up_for() {
        let pace = Pace::new(100.0);
        let start = Instant::now();
        let offset = |turn: Instant| turn.saturating_duration_since(start).as_millis();
        let turns: Vec<u128> = (0..3).map(|_| offset(pace.turn(start))).collect();
        assert_eq!(turns, [0, 10, 20]);
        let late = start + Duration::from_secs(1);
        assert_eq!(offset(pace.turn(late)), 995);
        assert_eq!(offset(pace.turn(late)), 1005);
    }
}
