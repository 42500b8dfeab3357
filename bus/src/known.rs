//! What this process already knows of each stream, and which answers are older.
//!
//! A stream's leader that is cut off with a minority goes on answering from what it has
//! for some seconds, without asking anybody (nats-server: a leader looks for its quorum
//! after ten heartbeats of a second). Its answers are true of the past; taken for the
//! present they would hide events. So the highest sequence that was ever seen is kept,
//! and an answer that ends before it is "not now". If that lasts longer than any stale
//! leader can, the stream has been rolled back, and it is said so.
//!
//! Owns the table; a stream's entry is as old as the process. Knows no backend.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use protocol::stream::StreamName;
use tokio::time::Instant;

use crate::error::BusError;

/// How long answers may be behind before the stream counts as rolled back: three times
/// what a leader without its quorum takes to step down.
pub(crate) const ROLLED_BACK_AFTER: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
struct Mark {
    highest: u64,
    /// Since when every answer was behind.
    behind_since: Option<Instant>,
}

/// The highest sequences that were seen.
#[derive(Debug, Default)]
pub(crate) struct Known(Mutex<HashMap<StreamName, Mark>>);

impl Known {
    /// A sequence exists: it was stored, read or delivered.
    pub fn saw(&self, stream: &StreamName, seq: u64) {
        let mut marks = self.0.lock();
        match marks.get_mut(stream) {
            Some(mark) => mark.highest = mark.highest.max(seq),
            None => {
                let mark = Mark {
                    highest: seq,
                    behind_since: None,
                };
                marks.insert(stream.clone(), mark);
            }
        }
    }

    /// The highest sequence that was seen so far; 0: none.
    pub fn highest(&self, stream: &StreamName) -> u64 {
        self.0.lock().get(stream).map_or(0, |mark| mark.highest)
    }

    /// Takes in an answer that says that the stream ends at `last`. `known` is what was
    /// known before the question: on a busy stream more is known by the time of the answer.
    ///
    /// # Errors
    /// [`BusError::Behind`] if it is known to go further; [`BusError::StreamChanged`]
    /// if all answers have said so for [`ROLLED_BACK_AFTER`].
    pub fn judge(
        &self,
        stream: &StreamName,
        known: u64,
        last: u64,
        now: Instant,
    ) -> Result<(), BusError> {
        let mut marks = self.0.lock();
        let mark = marks.entry(stream.clone()).or_default();
        if last >= known {
            mark.highest = mark.highest.max(last);
            mark.behind_since = None;
            return Ok(());
        }
        let since = *mark.behind_since.get_or_insert(now);
        if now.duration_since(since) < ROLLED_BACK_AFTER {
            metrics::counter!("nats_answers_behind_total").increment(1);
            return Err(BusError::Behind);
        }
        metrics::counter!("nats_streams_rolled_back_total").increment(1);
        tracing::error!(%stream, last, known, "the stream was rolled back");
        Err(BusError::changed(stream.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use protocol::name::StoreName;

    use super::*;

    fn events() -> StreamName {
        StreamName::events(&StoreName::parse("main").unwrap())
    }

    /// Judges an answer to a question that is asked and answered now.
    fn judge(known: &Known, last: u64, now: Instant) -> Result<(), BusError> {
        known.judge(&events(), known.highest(&events()), last, now)
    }

    #[test]
    fn an_answer_behind_what_is_known_is_not_now() {
        let (known, now) = (Known::default(), Instant::now());
        known.saw(&events(), 7);
        assert!(judge(&known, 7, now).is_ok());
        assert!(matches!(judge(&known, 6, now), Err(BusError::Behind)));
        assert!(judge(&known, 9, now).is_ok());
        assert!(matches!(judge(&known, 8, now), Err(BusError::Behind)));
    }

    #[test]
    fn what_is_stored_between_question_and_answer_makes_no_answer_old() {
        let known = Known::default();
        known.saw(&events(), 7);
        let asked = known.highest(&events());
        known.saw(&events(), 8);
        // For however long a stream is busy.
        for seconds in [0, 40, 80] {
            let now = Instant::now() + Duration::from_secs(seconds);
            assert!(known.judge(&events(), asked, 7, now).is_ok());
        }
        assert_eq!(known.highest(&events()), 8);
    }

    #[test]
    fn a_stream_that_stays_behind_was_rolled_back() {
        let (known, now) = (Known::default(), Instant::now());
        known.saw(&events(), 7);
        let at = |seconds| judge(&known, 3, now + Duration::from_secs(seconds));
        assert!(matches!(at(0), Err(BusError::Behind)));
        assert!(matches!(at(29), Err(BusError::Behind)));
        assert!(matches!(at(30), Err(BusError::StreamChanged { .. })));
        // A stale leader that was heard of in between does not count against it.
        assert!(judge(&known, 8, now + Duration::from_secs(31)).is_ok());
        let again = judge(&known, 3, now + Duration::from_secs(62));
        assert!(matches!(again, Err(BusError::Behind)));
    }
}
