//! How fast all editors together may publish: so many turns a second on average.
//! Owns the times of the last turn and of the next one due.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How much time that passed without turns is made up for afterwards: editors wait
/// for each other for tens of milliseconds, which must not lower the rate.
const LATE_MAX: Duration = Duration::from_secs(1);
/// How much faster turns come while lost time is made up for.
const CATCH_UP: u32 = 2;
/// How far turns may be in the past when they are given out: timers wake up a
/// millisecond or two late.
const SLACK: Duration = Duration::from_millis(5);

/// Gives out turns at even intervals, and at half of them after a pause.
#[derive(Debug)]
pub struct Pace {
    interval: Duration,
    times: Mutex<Times>,
}

#[derive(Debug)]
struct Times {
    /// When the next turn is due on average.
    due: Instant,
    /// Before this there is no other turn.
    free: Instant,
}

impl Pace {
    /// A pace of `rate` turns per second, which must be positive.
    pub fn new(rate: f64) -> Self {
        let now = Instant::now();
        Self {
            interval: Duration::from_secs_f64(1.0 / rate),
            times: Mutex::new(Times {
                due: now,
                free: now,
            }),
        }
    }

    /// The next turn. Whoever takes it uses it.
    pub fn turn(&self, now: Instant) -> Instant {
        let earlier = |by| now.checked_sub(by).unwrap_or(now);
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        let due = times.due.max(earlier(LATE_MAX));
        let turn = due.max(times.free).max(earlier(SLACK));
        times.due = due + self.interval;
        times.free = turn + self.interval / CATCH_UP;
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn turns_are_even_and_a_pause_is_made_up_for_step_by_step() {
        let pace = Pace::new(100.0);
        let start = Instant::now();
        let offset = |turn: Instant| turn.saturating_duration_since(start).as_millis();
        let turns: Vec<u128> = (0..3).map(|_| offset(pace.turn(start))).collect();
        assert_eq!(turns, [0, 10, 20]);
        let late = start + Duration::from_millis(60);
        let turns: Vec<u128> = (0..8).map(|_| offset(pace.turn(late))).collect();
        assert_eq!(turns, [55, 60, 65, 70, 75, 80, 90, 100]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_pause_is_not_made_up_for() {
        let pace = Pace::new(100.0);
        let late = Instant::now() + Duration::from_secs(60);
        let turns = (0..300).map(|_| pace.turn(late)).last();
        let rest = turns.map(|turn| turn.saturating_duration_since(late));
        // A second is made up for at twice the pace, the rest comes at the pace.
        let expected = Duration::from_millis(3_000 - 1_000 - 10);
        assert_eq!(rest, Some(expected));
    }
}
