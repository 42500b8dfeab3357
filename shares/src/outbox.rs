//! What waits to be sent to one client: payloads of frames, bounded in bytes.
//!
//! A pure structure; whoever holds it shares it between those who bring and a session. Policy
//! when it is full: an event is not taken, and whoever brought it pauses that
//! subscription and reads it again from the stream later. Replies are always taken:
//! their number is bounded by the commands that a session lets in, and a session
//! reads no commands while its outbox is over its limit.

use std::collections::VecDeque;

use bytes::Bytes;

use super::budget::Charge;

/// Places that an empty outbox keeps; more are given back, for idle clients are many.
const IDLE_PLACES: usize = 4;

/// The outbox of one client.
#[derive(Debug)]
pub struct Outbox {
    frames: VecDeque<Bytes>,
    /// Bytes in `frames` and handed out, but not yet written.
    bytes: usize,
    limit: usize,
    /// What it has of the node's bytes.
    charge: Charge,
}

/// An event did not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

impl Outbox {
    /// An empty outbox of so many bytes, which are a part of the node's.
    pub fn new(limit: usize, charge: Charge) -> Self {
        Self {
            frames: VecDeque::new(),
            bytes: 0,
            limit,
            charge,
        }
    }

    /// Takes an event if it fits. An empty outbox takes any one event: one that is
    /// longer than the limit would otherwise never be delivered.
    ///
    /// # Errors
    /// [`Full`] when it does not fit; nothing changes.
    pub fn try_push(&mut self, frame: Bytes) -> Result<(), Full> {
        let bytes = self.bytes + frame.len();
        if self.bytes > 0 && (bytes > self.limit || !self.charge.allows(bytes)) {
            return Err(Full);
        }
        self.push(frame);
        Ok(())
    }

    /// Takes a reply or a control frame in any case.
    pub fn push(&mut self, frame: Bytes) {
        self.count(self.bytes + frame.len());
        self.frames.push_back(frame);
    }

    /// Hands out at most so many frames, in order; returns how many.
    pub fn take(&mut self, frames_max: usize, into: impl FnMut(Bytes)) -> usize {
        let count = frames_max.min(self.frames.len());
        self.frames.drain(..count).for_each(into);
        if self.frames.is_empty() && self.frames.capacity() > IDLE_PLACES {
            self.frames.shrink_to(IDLE_PLACES);
        }
        count
    }

    /// So many bytes were handed out that did not wait here: until they are written they
    /// count like others.
    pub fn handed_out(&mut self, bytes: usize) {
        self.count(self.bytes + bytes);
    }

    fn count(&mut self, bytes: usize) {
        self.bytes = bytes;
        self.charge.set(bytes);
    }

    /// So many bytes of what was handed out have been written.
    pub fn written(&mut self, bytes: usize) {
        self.count(self.bytes.saturating_sub(bytes));
    }

    /// Forgets what has not been handed out, so that a close comes through.
    pub fn discard(&mut self) {
        let lost: usize = self.frames.iter().map(Bytes::len).sum();
        self.count(self.bytes.saturating_sub(lost));
        self.frames.clear();
    }

    /// Whether a paused subscription may go on: nothing waits, or half of the outbox is free
    /// and the node has bytes for all of it. Then whatever comes next fits: who is told that
    /// there is room, and finds none, would ask again without end.
    pub fn has_room(&self) -> bool {
        let half = self.bytes <= self.limit / 2;
        self.bytes == 0 || (half && self.charge.allows(self.limit))
    }

    /// Whether commands should wait.
    pub fn is_over(&self) -> bool {
        self.bytes > self.limit
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::budget::{Budget, FREE_BYTES};

    #[test]
    fn the_limit_obeyed_and_violated() {
        let mut outbox = outbox(100);
        assert_eq!(outbox.try_push(vec![0; 60].into()), Ok(()));
        assert_eq!(outbox.try_push(vec![0; 40].into()), Ok(()));
        assert_eq!(outbox.try_push(vec![0; 1].into()), Err(Full));
        assert!(!outbox.is_over() && !outbox.has_room());
        outbox.push(vec![0; 1].into());
        assert!(outbox.is_over());
    }

    fn outbox(limit: usize) -> Outbox {
        Outbox::new(limit, Budget::new(usize::MAX >> 1).charge())
    }

    #[test]
    fn the_bytes_of_the_node_obeyed_and_violated() {
        let budget = Budget::new(FREE_BYTES);
        let mut outboxes = [0; 2].map(|_| Outbox::new(4 * FREE_BYTES, budget.charge()));
        let [stalled, other] = &mut outboxes;
        assert_eq!(stalled.try_push(vec![0; 2 * FREE_BYTES].into()), Ok(()));
        assert_eq!(stalled.try_push(vec![0; 1].into()), Err(Full));
        assert!(!stalled.has_room());
        assert_eq!(other.try_push(vec![0; FREE_BYTES].into()), Ok(()));
        assert_eq!(other.try_push(vec![0; 1].into()), Err(Full));
        other.take(1, drop);
        other.written(FREE_BYTES - 1);
        assert!(!other.has_room(), "a long event would find none");
        other.written(1);
        assert!(other.has_room(), "it reads, and goes on");
        stalled.discard();
        assert_eq!(other.try_push(vec![0; FREE_BYTES].into()), Ok(()));
    }

    #[test]
    fn an_empty_outbox_takes_an_event_beyond_the_limit() {
        let mut outbox = outbox(100);
        assert_eq!(outbox.try_push(vec![0; 200].into()), Ok(()));
        assert_eq!(outbox.try_push(vec![0; 1].into()), Err(Full));
    }

    #[derive(Debug, Clone)]
    enum Step {
        Event(usize),
        Reply(usize),
        Take(usize),
        Beside(usize),
        Write(usize),
        Discard,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (1usize..50).prop_map(Step::Event),
            (1usize..50).prop_map(Step::Reply),
            (1usize..5).prop_map(Step::Take),
            (1usize..50).prop_map(Step::Beside),
            (1usize..80).prop_map(Step::Write),
            Just(Step::Discard),
        ];
        proptest::collection::vec(step, 0..200)
    }

    proptest! {
        /// The bytes counted are always the bytes queued and handed out, and events
        /// never pass the limit on their own.
        #[test]
        fn the_account_is_exact(steps in steps()) {
            let mut outbox = outbox(120);
            let mut out: VecDeque<Bytes> = VecDeque::new();
            for step in steps {
                match step {
                    Step::Event(size) => {
                        let before = outbox.bytes;
                        let fits = outbox.try_push(vec![0; size].into()).is_ok();
                        prop_assert_eq!(fits, before == 0 || before + size <= 120);
                    }
                    Step::Reply(size) => outbox.push(vec![0; size].into()),
                    Step::Take(count) => {
                        outbox.take(count, |frame| out.push_back(frame));
                    }
                    Step::Beside(size) => {
                        outbox.handed_out(size);
                        out.push_back(vec![0; size].into());
                    }
                    Step::Write(mut bytes) => {
                        while let Some(front) = out.front_mut() && bytes > 0 {
                            let part = bytes.min(front.len());
                            let _ = front.split_to(part);
                            outbox.written(part);
                            bytes -= part;
                            if front.is_empty() {
                                out.pop_front();
                            }
                        }
                    }
                    Step::Discard => outbox.discard(),
                }
                let waiting: usize = outbox.frames.iter().chain(&out).map(Bytes::len).sum();
                prop_assert_eq!(outbox.bytes, waiting);
            }
        }
    }
}
