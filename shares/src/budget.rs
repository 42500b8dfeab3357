//! What all clients of a node together may leave waiting: bytes in outboxes, beyond a little
//! that each may have in any case. So a healthy client never meets it, and thousands that
//! stopped reading do not fill the node's memory.
//!
//! Owns the count. Policy when it is used up: whoever has more than the little is full.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of each queue that are not counted: what one write takes, so that a client that
/// reads touches no counter that it shares with others.
pub const FREE_BYTES: usize = 16 * 1024;

/// The bytes of a node.
#[derive(Debug)]
pub struct Budget {
    limit: usize,
    used: AtomicUsize,
}

impl Budget {
    /// So many bytes.
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit,
            used: AtomicUsize::new(0),
        })
    }

    /// A part of it, of which nothing is used yet.
    pub fn charge(self: &Arc<Self>) -> Charge {
        Charge {
            budget: self.clone(),
            counted: 0,
        }
    }
}

/// What one queue uses of the node's bytes. Dropped, it gives them back.
#[derive(Debug)]
pub struct Charge {
    budget: Arc<Budget>,
    counted: usize,
}

impl Charge {
    /// The queue holds so many bytes now.
    pub fn set(&mut self, bytes: usize) {
        let counted = bytes.saturating_sub(FREE_BYTES);
        let used = &self.budget.used;
        match counted.checked_sub(self.counted) {
            Some(0) => {}
            Some(more) => drop(used.fetch_add(more, Ordering::Relaxed)),
            None => drop(used.fetch_sub(self.counted - counted, Ordering::Relaxed)),
        }
        self.counted = counted;
    }

    /// Whether a queue may hold so many bytes, as far as the node is concerned.
    pub fn allows(&self, bytes: usize) -> bool {
        let more = bytes
            .saturating_sub(FREE_BYTES)
            .saturating_sub(self.counted);
        more == 0 || self.budget.used.load(Ordering::Relaxed) + more <= self.budget.limit
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_beyond_the_little_that_everybody_has_is_counted_and_given_back() {
        let budget = Budget::new(100);
        let (mut one, mut other) = (budget.charge(), budget.charge());
        one.set(FREE_BYTES);
        assert_eq!(budget.used.load(Ordering::Relaxed), 0);
        one.set(FREE_BYTES + 80);
        assert!(other.allows(FREE_BYTES + 20) && !other.allows(FREE_BYTES + 21));
        other.set(FREE_BYTES + 20);
        assert!(one.allows(FREE_BYTES + 80) && !one.allows(FREE_BYTES + 81));
        one.set(10);
        assert_eq!(budget.used.load(Ordering::Relaxed), 20);
        drop((one, other));
        assert_eq!(budget.used.load(Ordering::Relaxed), 0);
    }
}
