//! What a stream holds: events by sequence, sequences by subject, and what age and
//! history take away. Pure; time is given.
//!
//! Every read says up to which sequence the one who answers has come, so that a
//! follower that lags and a leader that was deposed are views of the same log.
//! Therefore what history took away stays here for some events more.

use std::collections::{BTreeMap, VecDeque};

use super::pattern;
use protocol::bus::Stored;

/// How many events a view may be behind: what was replaced longer ago is forgotten.
pub(super) const VIEW_EVENTS_MAX: u64 = 4_096;

#[derive(Debug)]
struct Entry {
    event: Stored,
    bytes: u64,
    /// The sequence whose storing took this one away.
    replaced_by: Option<u64>,
}

impl Entry {
    fn visible(&self, until: u64) -> bool {
        self.event.seq <= until && self.replaced_by.is_none_or(|by| by > until)
    }
}

/// The log of one stream.
#[derive(Debug, Default)]
pub(super) struct Log {
    entries: BTreeMap<u64, Entry>,
    subjects: BTreeMap<String, VecDeque<u64>>,
    last_seq: u64,
    bytes: u64,
    /// Entries that were replaced and are kept for views.
    replaced: usize,
}

impl Log {
    pub(super) fn last_seq(&self) -> u64 {
        self.last_seq
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Appends an event and returns its sequence; of its subject at most `history`
    /// events stay.
    pub(super) fn push(&mut self, mut event: Stored, bytes: u64, history: Option<usize>) -> u64 {
        let seq = self.last_seq + 1;
        self.last_seq = seq;
        event.seq = seq;
        let seqs = self.subjects.entry(event.subject.clone()).or_default();
        seqs.push_back(seq);
        let excess: Vec<u64> = match history {
            Some(history) => seqs.iter().rev().skip(history).copied().collect(),
            None => Vec::new(),
        };
        let entry = Entry {
            event,
            bytes,
            replaced_by: None,
        };
        self.entries.insert(seq, entry);
        self.bytes += bytes;
        for old in excess {
            self.replace(old, seq);
        }
        seq
    }

    fn replace(&mut self, old: u64, by: u64) {
        let Some(entry) = self.entries.get_mut(&old) else {
            return;
        };
        if entry.replaced_by.is_none() {
            entry.replaced_by = Some(by);
            self.bytes -= entry.bytes;
            self.replaced += 1;
        } else if entry
            .replaced_by
            .is_some_and(|then| then + VIEW_EVENTS_MAX < by)
        {
            self.remove(old);
        }
    }

    fn remove(&mut self, seq: u64) {
        let Some(entry) = self.entries.remove(&seq) else {
            return;
        };
        match entry.replaced_by {
            None => self.bytes -= entry.bytes,
            Some(_) => self.replaced -= 1,
        }
        if let Some(seqs) = self.subjects.get_mut(&entry.event.subject) {
            seqs.retain(|other| *other != seq);
            if seqs.is_empty() {
                self.subjects.remove(&entry.event.subject);
            }
        }
    }

    /// Removes what was stored at or before a time.
    pub(super) fn expire(&mut self, up_to_us: u64) {
        while let Some((seq, entry)) = self.entries.first_key_value() {
            if entry.event.time_us > up_to_us {
                return;
            }
            let seq = *seq;
            self.remove_first(seq);
        }
    }

    /// Removes the oldest until no more than so many bytes are there.
    pub(super) fn make_room(&mut self, bytes: u64) {
        while self.bytes > bytes
            && let Some((seq, _)) = self.entries.first_key_value()
        {
            let seq = *seq;
            self.remove_first(seq);
        }
    }

    /// As [`Self::remove`], for the oldest of its subject.
    fn remove_first(&mut self, seq: u64) {
        let subject = self.entries.get(&seq).map(|entry| &entry.event.subject);
        if let Some(seqs) = subject.and_then(|subject| self.subjects.get_mut(subject))
            && seqs.front() == Some(&seq)
            && seqs.len() > 1
        {
            seqs.pop_front();
        }
        self.remove(seq);
    }

    /// The first event and its time; `None` when empty.
    pub(super) fn first(&self, until: u64) -> Option<&Stored> {
        let mut entries = self.entries.values();
        entries
            .find(|entry| entry.visible(until))
            .map(|entry| &entry.event)
    }

    pub(super) fn get(&self, seq: u64, until: u64) -> Option<&Stored> {
        self.entries
            .get(&seq)
            .filter(|entry| entry.visible(until))
            .map(|entry| &entry.event)
    }

    /// Every event that is there, for those who check.
    pub(super) fn all(&self) -> Vec<Stored> {
        let entries = self.entries.values();
        entries
            .filter(|entry| entry.visible(self.last_seq))
            .map(|entry| entry.event.clone())
            .collect()
    }

    /// The last sequence on a subject or filter.
    pub(super) fn last_on(&self, filter: &str, until: u64) -> Option<u64> {
        let lists = self.lists(Some(filter));
        lists
            .filter_map(|seqs| {
                let mut seqs = seqs.iter().rev();
                seqs.find(|seq| self.get(**seq, until).is_some()).copied()
            })
            .max()
    }

    /// The last sequence of each subject under a filter, ascending.
    pub(super) fn last_of_each(&self, filter: Option<&str>, until: u64) -> Vec<u64> {
        let filter = filter.unwrap_or(">");
        let subjects = self.subjects.keys();
        let mut seqs: Vec<_> = subjects
            .filter(|subject| pattern::matches(filter, subject))
            .filter_map(|subject| self.last_on(subject, until))
            .collect();
        seqs.sort_unstable();
        seqs
    }

    /// The events on a filter from a sequence on, ascending.
    pub(super) fn from<'a>(
        &'a self,
        filter: Option<&'a str>,
        from: u64,
        until: u64,
    ) -> Box<dyn Iterator<Item = &'a Stored> + 'a> {
        if let Some(subject) = filter.filter(|filter| !pattern::is_wild(filter)) {
            let seqs = self.subjects.get(subject).into_iter();
            return Box::new(seqs.flat_map(move |seqs| {
                let start = seqs.partition_point(|seq| *seq < from);
                let seqs = seqs.range(start..);
                seqs.filter_map(move |seq| self.get(*seq, until))
            }));
        }
        let entries = self.entries.range(from..).map(|(_, entry)| entry);
        Box::new(
            entries
                .take_while(move |entry| entry.event.seq <= until)
                .filter(move |entry| entry.visible(until))
                .map(|entry| &entry.event)
                .filter(move |event| {
                    filter.is_none_or(|filter| pattern::matches(filter, &event.subject))
                }),
        )
    }

    /// How many events there are on a filter from a sequence on.
    pub(super) fn count(&self, filter: Option<&str>, from: u64, until: u64) -> u64 {
        let counts = self.lists(filter).map(|seqs| {
            let start = seqs.partition_point(|seq| *seq < from);
            let end = seqs.partition_point(|seq| *seq <= until).max(start);
            if self.replaced == 0 {
                return end - start;
            }
            let seqs = seqs.range(start..end);
            seqs.filter(|seq| self.get(**seq, until).is_some()).count()
        });
        counts.map(|count| count as u64).sum()
    }

    /// The sequences of every subject under a filter.
    fn lists<'a>(
        &'a self,
        filter: Option<&'a str>,
    ) -> Box<dyn Iterator<Item = &'a VecDeque<u64>> + 'a> {
        match filter {
            Some(subject) if !pattern::is_wild(subject) => {
                Box::new(self.subjects.get(subject).into_iter())
            }
            filter => Box::new(
                self.subjects
                    .iter()
                    .filter(move |(subject, _)| {
                        filter.is_none_or(|filter| pattern::matches(filter, subject))
                    })
                    .map(|(_, seqs)| seqs),
            ),
        }
    }
}
