//! Where a reader has come to in its stream. Pure; owns the place alone.

use std::collections::VecDeque;

use super::reading;
use super::stream::Machine;
use crate::following::{ReaderOptions, Start};
use protocol::bus::Stored;

/// A reader's place.
#[derive(Debug)]
pub(super) struct Place {
    pub stream: String,
    pub filter: Option<String>,
    pub options: ReaderOptions,
    /// Which stream it is: another creation time is another stream.
    pub created_us: u64,
    /// Events behind the last one that was yielded.
    pub pending: u64,
    /// The last sequence that was yielded; 0: none.
    pub last: u64,
    /// The connection and the consumers that it was made with.
    pub connects: u64,
    pub consumers: u64,
    /// When what has been found arrives.
    pub arrives: Option<u64>,
    /// The first sequence that is not known yet.
    next: u64,
    /// What is left of the last message of each subject.
    initial: VecDeque<u64>,
}

impl Place {
    /// A place at a start, as seen by one who has come to `until`.
    pub(super) fn new(
        name: &str,
        filter: Option<String>,
        start: Start,
        options: ReaderOptions,
        (stream, until): (&Machine, u64),
    ) -> Self {
        let (next, initial) = match start {
            Start::Seq(seq) => (seq, Vec::new()),
            Start::LastPerSubject => (until + 1, stream.log.last_of_each(filter.as_deref(), until)),
        };
        let pending = match start {
            Start::Seq(seq) => stream.log.count(filter.as_deref(), seq, until),
            Start::LastPerSubject => initial.len() as u64,
        };
        Self {
            stream: name.into(),
            filter,
            options,
            created_us: stream.created_us,
            pending,
            last: 0,
            connects: 0,
            consumers: 0,
            arrives: None,
            next,
            initial: initial.into(),
        }
    }

    /// Starts again behind the last event, as a new consumer does.
    pub(super) fn restart(&mut self) {
        self.arrives = None;
        if self.last > 0 {
            self.next = self.last + 1;
            self.initial.clear();
        }
    }

    /// Whether there is something, as seen by one who has come to `until`.
    pub(super) fn finds(&self, stream: &Machine, until: u64) -> bool {
        let filter = self.filter.as_deref();
        let there = |seq: &u64| stream.log.get(*seq, until).is_some();
        self.initial.iter().any(there) || stream.log.from(filter, self.next, until).next().is_some()
    }

    /// Takes one batch.
    pub(super) fn take(&mut self, stream: &Machine, until: u64) -> Vec<Stored> {
        let (log, filter) = (&stream.log, self.filter.as_deref());
        let initial = self.initial.iter();
        let initial = initial.filter_map(|seq| log.get(*seq, until));
        let events = initial.chain(log.from(filter, self.next, until));
        let batch = reading::run(events, self.options.batch, self.options.bytes_max);
        let Some(last) = batch.last().map(|event| event.seq) else {
            return batch;
        };
        self.last = last;
        self.next = self.next.max(last + 1);
        while self.initial.pop_front_if(|seq| *seq <= last).is_some() {}
        let new = log.count(filter, self.next, until);
        self.pending = self.initial.len() as u64 + new;
        batch
    }
}
