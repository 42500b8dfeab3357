//! What all participants of a demo share: when each transaction was published, and
//! how far everybody is. Owns atomics only, so that nobody waits for anybody.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// The board of one run.
#[derive(Debug)]
pub struct Board {
    start: Instant,
    /// By transaction: nanoseconds from the start, plus one; 0 is not published.
    published_at: Vec<AtomicU64>,
    published: AtomicUsize,
    delivered: AtomicUsize,
}

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Transactions in the trace.
    pub txns: usize,
    /// Transactions published.
    pub published: usize,
    /// Transactions delivered, over all editors.
    pub delivered: usize,
    /// Since the start.
    pub elapsed: Duration,
}

impl Board {
    /// A board for a trace of this many transactions; the run starts now.
    pub fn new(txns: usize) -> Self {
        Self {
            start: Instant::now(),
            published_at: (0..txns).map(|_| AtomicU64::new(0)).collect(),
            published: AtomicUsize::new(0),
            delivered: AtomicUsize::new(0),
        }
    }

    /// A transaction goes out now.
    pub fn publish(&self, txn: u32) {
        let nanos = self.start.elapsed().as_nanos() as u64;
        if let Some(at) = self.published_at.get(txn as usize) {
            at.store(nanos + 1, Ordering::Release);
            self.published.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A transaction was delivered to some editor.
    pub fn deliver(&self) {
        self.delivered.fetch_add(1, Ordering::Relaxed);
    }

    /// How long after its publish a transaction arrived; `None` if nobody
    /// published it.
    pub fn latency(&self, txn: u32, arrived: Instant) -> Option<Duration> {
        let at = self
            .published_at
            .get(txn as usize)?
            .load(Ordering::Acquire)
            .checked_sub(1)?;
        let since = arrived.saturating_duration_since(self.start);
        Some(since.saturating_sub(Duration::from_nanos(at)))
    }

    /// How far the run is.
    pub fn progress(&self) -> Progress {
        Progress {
            txns: self.published_at.len(),
            published: self.published.load(Ordering::Relaxed),
            delivered: self.delivered.load(Ordering::Relaxed),
            elapsed: self.start.elapsed(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latency_is_of_what_was_published() {
        let board = Board::new(2);
        board.publish(1);
        let later = Instant::now() + Duration::from_secs(5);
        let latency = board.latency(1, later).unwrap();
        assert!(latency >= Duration::from_secs(5));
        assert_eq!(board.latency(0, later), None);
        assert_eq!(board.latency(9, later), None);
        board.deliver();
        let progress = board.progress();
        assert_eq!(
            (progress.txns, progress.published, progress.delivered),
            (2, 1, 1)
        );
    }
}
