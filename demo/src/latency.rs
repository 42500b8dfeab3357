//! How long things took. Owns the samples, one number each; their count is bounded
//! by the trace.

use std::time::Duration;

use serde::Serialize;

/// Samples of one kind, in microseconds.
#[derive(Debug, Clone, Default)]
pub struct Latencies(Vec<u32>);

/// What is said of the samples, in milliseconds; all zero when there are none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct LatencySummary {
    /// How many samples.
    pub count: usize,
    /// Half of them took no longer.
    pub p50_ms: f64,
    /// 99 of 100 took no longer.
    pub p99_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

impl Latencies {
    /// Adds a sample; longer than an hour counts as an hour.
    pub fn add(&mut self, latency: Duration) {
        self.0
            .push(u32::try_from(latency.as_micros()).unwrap_or(u32::MAX));
    }

    /// Adds all samples of another.
    pub fn extend(&mut self, other: &Self) {
        self.0.extend_from_slice(&other.0);
    }

    /// Sums up.
    pub fn summary(&self) -> LatencySummary {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        // Nearest rank: the smallest sample that p percent do not exceed.
        let rank = |percent: usize| {
            let rank = (sorted.len() * percent).div_ceil(100).max(1);
            sorted
                .get(rank - 1)
                .map_or(0.0, |micros| f64::from(*micros) / 1000.0)
        };
        LatencySummary {
            count: sorted.len(),
            p50_ms: rank(50),
            p99_ms: rank(99),
            max_ms: rank(100),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(millis: impl Iterator<Item = u64>) -> (usize, f64, f64, f64) {
        let mut latencies = Latencies::default();
        millis.for_each(|ms| latencies.add(Duration::from_millis(ms)));
        let LatencySummary {
            count,
            p50_ms,
            p99_ms,
            max_ms,
        } = latencies.summary();
        (count, p50_ms, p99_ms, max_ms)
    }

    #[test]
    fn percentiles_are_samples_by_nearest_rank() {
        assert_eq!(summary((1..=200).rev()), (200, 100.0, 198.0, 200.0));
        assert_eq!(summary([7].into_iter()), (1, 7.0, 7.0, 7.0));
        assert_eq!(summary([1, 9].into_iter()), (2, 1.0, 9.0, 9.0));
        assert_eq!(summary(std::iter::empty()), (0, 0.0, 0.0, 0.0));
    }
}
