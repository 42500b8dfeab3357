//! Which subjects of which streams hold messages whose headers async-nats cannot parse.
//!
//! Such a message breaks the connection that it comes over. It is found when it has
//! done so once, and read another way ([`super::block`]); what is remembered here keeps
//! everybody who reads that subject again from breaking the connection again.
//!
//! Owns the table. Reads nothing.

use std::collections::HashMap;

use parking_lot::Mutex;

/// Subjects that are remembered. Policy: one more, and all are forgotten; the next read
/// of each breaks the connection once.
const SUBJECTS_MAX: usize = 1_024;

/// The last unreadable sequence of each subject, by stream and subject.
#[derive(Debug, Default)]
pub(super) struct Unreadable(Mutex<HashMap<(String, String), u64>>);

impl Unreadable {
    /// Notes a message that was found.
    pub(super) fn found(&self, stream: &str, subject: &str, seq: u64) {
        let mut table = self.0.lock();
        let key = (stream.to_owned(), subject.to_owned());
        if table.len() >= SUBJECTS_MAX && !table.contains_key(&key) {
            table.clear();
        }
        let last = table.entry(key).or_default();
        if seq > *last {
            *last = seq;
            metrics::counter!("nats_unreadable_messages_total").increment(1);
            tracing::warn!(
                stream,
                subject,
                seq,
                "a stored message has headers that are none"
            );
        }
    }

    /// The last sequence on a subject that is known to be unreadable; 0 if there is
    /// none, and for a filter with wildcards.
    pub(super) fn last(&self, stream: &str, subject: &str) -> u64 {
        let table = self.0.lock();
        if table.is_empty() {
            return 0;
        }
        let key = (stream.to_owned(), subject.to_owned());
        table.get(&key).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_each_subject_is_kept_up_to_the_bound() {
        let table = Unreadable::default();
        for (subject, seq) in [("a", 7), ("a", 3), ("b", 9)] {
            table.found("EVENTS-main", subject, seq);
        }
        let last = |subject: &str| table.last("EVENTS-main", subject);
        assert_eq!((last("a"), last("b"), last("c")), (7, 9, 0));
        assert_eq!(table.last("EVENTS-eu", "a"), 0);
        for n in 0..SUBJECTS_MAX - 2 {
            table.found("EVENTS-main", &format!("c.{n}"), 1);
        }
        assert_eq!(last("a"), 7, "as many as fit");
        table.found("EVENTS-main", "d", 1);
        assert_eq!((last("a"), last("d")), (0, 1), "one more");
    }
}
