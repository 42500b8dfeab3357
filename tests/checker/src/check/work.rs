//! A function and what it stored. Plain values; who judges them is another file's matter.

use std::collections::HashMap;

use crate::pattern;
use crate::record::{Function, Kind, Place, Stored};

/// One message that a function stored for an input of its own.
#[derive(Clone, Copy)]
pub(crate) struct Made<'h> {
    pub(crate) stored: &'h Stored,
    pub(crate) source: &'h Place,
}

impl Made<'_> {
    /// An output proper: neither an outcome nor a dead letter.
    pub(crate) fn is_output(&self) -> bool {
        self.stored.kind != Kind::DeadLetter && !self.stored.outcome
    }
}

/// A function with what it stored, in the order of the streams.
pub(crate) struct Work<'h> {
    pub(crate) function: &'h Function,
    pub(crate) results: Vec<Made<'h>>,
    pub(crate) checkpoints: Vec<&'h Stored>,
}

impl<'h> Work<'h> {
    /// Whether a stored message is an input of this function. Remembers channels in `known`.
    pub(crate) fn takes(&self, input: &'h Stored, known: &mut HashMap<&'h str, bool>) -> bool {
        let kind = input.kind == Kind::In || (input.kind == Kind::Ev && !input.outcome);
        kind && input.stream == self.function.input_stream
            && input.seq >= self.function.start_seq
            && self.is_called_for(input)
            && *known.entry(&input.channel).or_insert_with(|| {
                let mut patterns = self.function.channels.iter();
                patterns.any(|pattern| pattern::matches(pattern, &input.channel))
            })
    }

    /// A function on a schedule handles its ticks alone.
    fn is_called_for(&self, input: &Stored) -> bool {
        let tick = input.tick.as_ref();
        self.function.every_s.is_none()
            || tick.is_some_and(|tick| tick.function == self.function.name)
    }
}
