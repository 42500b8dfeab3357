//! Which of a lane's waiting events are stored now, and how: a few one by one, many
//! as one batch.
//!
//! A single publish costs the server one sync of its disk; an atomic batch costs four
//! and a folder of its own, however large it is. So what waits goes singly while it is
//! little, each event of a writer and channel after the one before; once more waits
//! than a batch is worth, what is under way is finished and the rest goes as a batch.
//!
//! Owns what waits and the lines that have an event under way. It never awaits.

use std::collections::VecDeque;

/// Events from which a batch is cheaper for the server than single publishes: about
/// ten times the work of one, measured on one server that syncs every write.
pub const BATCH_MIN: usize = 8;
/// Most events of a batch: larger ones gain little and delay the first of them.
pub const BATCH_MAX: usize = 256;
/// Bytes after which a batch is full.
const BATCH_BYTES_MAX: usize = 1 << 20;

/// An event that waits for its turn.
pub trait Waiting {
    /// What keeps its order: a writer and a channel.
    type Line: PartialEq;

    /// Its line.
    fn line(&self) -> Self::Line;

    /// Its size in bytes.
    fn size(&self) -> usize;
}

/// What is to be stored now.
#[derive(Debug, PartialEq, Eq)]
pub enum Turn<W> {
    /// This event, beside those under way; then [`Turns::done`] with its line.
    Single(W),
    /// These, together; nothing else is under way.
    Batch(Vec<W>),
    /// Nothing before something ends or comes.
    None,
}

/// One lane's waiting events.
#[derive(Debug)]
pub struct Turns<W: Waiting> {
    waiting: VecDeque<W>,
    under_way: Vec<W::Line>,
}

impl<W: Waiting> Default for Turns<W> {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            under_way: Vec::new(),
        }
    }
}

impl<W: Waiting> Turns<W> {
    /// How many more may wait here. Policy: the rest stays in the lane's queue.
    pub fn room(&self) -> usize {
        BATCH_MAX.saturating_sub(self.waiting.len())
    }

    /// Events that came, in order.
    pub fn push(&mut self, events: impl IntoIterator<Item = W>) {
        self.waiting.extend(events);
    }

    /// What to store now. Ask until it is `None`.
    pub fn next(&mut self) -> Turn<W> {
        let many = self.waiting.len() >= BATCH_MIN;
        if many && self.under_way.is_empty() {
            return Turn::Batch(self.batch());
        }
        let Some(line) = self.waiting.front().map(Waiting::line) else {
            return Turn::None;
        };
        let held = self.under_way.len() >= BATCH_MIN || self.under_way.contains(&line);
        if many || held {
            return Turn::None;
        }
        self.under_way.push(line);
        self.waiting.pop_front().map_or(Turn::None, Turn::Single)
    }

    /// A single of this line is decided.
    pub fn done(&mut self, line: &W::Line) {
        if let Some(at) = self.under_way.iter().position(|known| known == line) {
            self.under_way.swap_remove(at);
        }
    }

    fn batch(&mut self) -> Vec<W> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while let Some(event) = self.waiting.front()
            && (batch.is_empty() || bytes + event.size() <= BATCH_BYTES_MAX)
        {
            bytes += event.size();
            batch.extend(self.waiting.pop_front());
        }
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Line and number, of a size.
    #[derive(Debug, Clone, PartialEq, Eq)]
    struct Event(char, usize, usize);

    impl Waiting for Event {
        type Line = char;

        fn line(&self) -> char {
            self.0
        }

        fn size(&self) -> usize {
            self.2
        }
    }

    fn events(line: char, count: usize) -> Vec<Event> {
        (0..count).map(|n| Event(line, n, 1)).collect()
    }

    #[test]
    fn one_line_goes_one_by_one_and_lines_go_beside_each_other() {
        let mut turns = Turns::default();
        turns.push([Event('a', 0, 1), Event('b', 0, 1), Event('a', 1, 1)]);
        assert_eq!(turns.next(), Turn::Single(Event('a', 0, 1)));
        assert_eq!(turns.next(), Turn::Single(Event('b', 0, 1)));
        assert_eq!(turns.next(), Turn::None);
        turns.done(&'b');
        assert_eq!(turns.next(), Turn::None);
        turns.done(&'a');
        assert_eq!(turns.next(), Turn::Single(Event('a', 1, 1)));
    }

    #[test]
    fn many_wait_for_what_is_under_way_and_go_as_one_batch() {
        let mut turns = Turns::default();
        turns.push(events('a', 1));
        assert_eq!(turns.next(), Turn::Single(Event('a', 0, 1)));
        turns.push(events('b', BATCH_MIN));
        assert_eq!(turns.next(), Turn::None);
        turns.done(&'a');
        assert_eq!(turns.next(), Turn::Batch(events('b', BATCH_MIN)));
        assert_eq!(turns.next(), Turn::None);
    }

    #[test]
    fn a_batch_has_limits_but_takes_one_event_of_any_size() {
        let mut turns = Turns::default();
        turns.push((0..BATCH_MAX).map(|n| Event('a', n, BATCH_BYTES_MAX / 2 + 1)));
        assert_eq!(turns.room(), 0);
        let Turn::Batch(batch) = turns.next() else {
            panic!("many wait");
        };
        assert_eq!(batch.len(), 1);
        let mut turns = Turns::default();
        turns.push((0..BATCH_MIN).map(|n| Event('a', n, BATCH_BYTES_MAX / BATCH_MIN)));
        assert!(matches!(turns.next(), Turn::Batch(batch) if batch.len() == BATCH_MIN));
    }
}
