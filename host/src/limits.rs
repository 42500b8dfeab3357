//! What one instance may take: memory, tables, core instances, log lines.
//!
//! Owns the counters of one instance. Must not know what the guest computes.

use std::time::Duration;

use tokio::time::Instant;
use wasmtime::ResourceLimiter;

use super::engine::TABLE_ELEMENTS_MAX;

/// Lines a second that one instance may log, on average.
pub const LOG_LINES_PER_SECOND: u32 = 50;
/// Lines that it may log at once.
pub const LOG_LINES_BURST: u32 = 200;
/// Longest line, bytes; longer ones are cut.
pub const LOG_LINE_BYTES_MAX: usize = 4_096;

/// Counts what an instance has taken.
#[derive(Debug)]
pub struct Limits {
    memory_bytes_max: usize,
    memory_bytes: usize,
    memory_refused: bool,
}

impl Limits {
    /// Limits of a fresh instance.
    pub fn new(memory_bytes_max: usize) -> Self {
        Self {
            memory_bytes_max,
            memory_bytes: 0,
            memory_refused: false,
        }
    }

    /// Whether the guest was ever refused memory: then that explains its trap.
    pub fn memory_refused(&self) -> bool {
        self.memory_refused
    }
}

impl ResourceLimiter for Limits {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // The limit is on all memories of the instance together.
        let total = self.memory_bytes - current.min(self.memory_bytes) + desired;
        let allowed = total <= self.memory_bytes_max;
        if allowed {
            self.memory_bytes = total;
        } else {
            self.memory_refused = true;
        }
        Ok(allowed)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE_ELEMENTS_MAX)
    }
}

/// A token bucket for log lines.
#[derive(Debug)]
pub struct LogBudget {
    lines: f64,
    filled: Instant,
}

impl LogBudget {
    /// A full bucket.
    pub fn new(now: Instant) -> Self {
        Self {
            lines: f64::from(LOG_LINES_BURST),
            filled: now,
        }
    }

    /// Takes a line, if there is one.
    pub fn take(&mut self, now: Instant) -> bool {
        let passed: Duration = now.saturating_duration_since(self.filled);
        self.filled = now;
        self.lines = (self.lines + passed.as_secs_f64() * f64::from(LOG_LINES_PER_SECOND))
            .min(f64::from(LOG_LINES_BURST));
        if self.lines < 1.0 {
            return false;
        }
        self.lines -= 1.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_granted_up_to_the_limit_and_not_beyond() {
        let mut limits = Limits::new(200_000);
        assert!(limits.memory_growing(0, 65_536, None).unwrap());
        assert!(limits.memory_growing(65_536, 131_072, None).unwrap());
        assert!(!limits.memory_refused());
        assert!(!limits.memory_growing(131_072, 262_144, None).unwrap());
        assert!(limits.memory_refused());
        assert!(
            !limits.memory_growing(0, 131_072, None).unwrap(),
            "a second memory counts as well"
        );
    }

    #[test]
    fn log_lines_are_granted_up_to_the_burst_and_then_at_the_rate() {
        let start = Instant::now();
        let mut budget = LogBudget::new(start);
        assert_eq!(
            (0..1_000).filter(|_| budget.take(start)).count(),
            LOG_LINES_BURST as usize
        );
        let later = start + Duration::from_secs(1);
        assert_eq!(
            (0..1_000).filter(|_| budget.take(later)).count(),
            LOG_LINES_PER_SECOND as usize
        );
    }
}
