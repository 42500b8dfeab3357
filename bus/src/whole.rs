//! Proof that a run of replies is whole.
//!
//! The server says with each reply of a batched Direct Get which sequence it sent
//! before, 0 with the first, and with the end marker which it sent last (ADR-31,
//! `Nats-Last-Sequence`). A reply that was lost on the way is so noticed by the next.

use crate::error::BusError;

/// The replies of one run so far.
#[derive(Debug, Default)]
pub(crate) struct Whole {
    last: u64,
}

impl Whole {
    /// Takes in a reply with its own sequence, and the one that the server sent before.
    ///
    /// # Errors
    /// [`BusError::Incomplete`] if that one has not come.
    pub fn reply(&mut self, seq: u64, before: u64) -> Result<(), BusError> {
        self.end(before)?;
        self.last = seq;
        Ok(())
    }

    /// Takes in the end marker, with the sequence that the server sent last.
    ///
    /// # Errors
    /// [`BusError::Incomplete`] if that one has not come.
    pub fn end(&self, before: u64) -> Result<(), BusError> {
        if before == self.last {
            return Ok(());
        }
        metrics::counter!("nats_runs_incomplete_total").increment(1);
        Err(BusError::Incomplete)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run of replies, each with what was sent before it, and its end.
    fn check(replies: &[(u64, u64)], end: u64) -> bool {
        let mut whole = Whole::default();
        let came = replies
            .iter()
            .try_for_each(|(seq, before)| whole.reply(*seq, *before));
        came.and_then(|()| whole.end(end)).is_ok()
    }

    #[test]
    fn every_lost_reply_is_noticed() {
        let run = [(3, 0), (7, 3), (8, 7), (20, 8)];
        assert!(check(&run, 20) && check(&[], 0));
        for lost in 0..run.len() {
            let mut rest = run.to_vec();
            rest.remove(lost);
            assert!(!check(&rest, 20), "reply {lost}");
        }
        assert!(!check(&[], 20), "all of them");
    }
}
